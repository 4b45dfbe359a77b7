"""Decisions by what was read, made at once by several who write: exactly one of them comes first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import delete

from coreconfig.errors import CoreConfigError
from coreconfig.server.access.caller import ADMIN, Caller, local_caller
from coreconfig.server.db.database import Database
from coreconfig.server.identity.commands import Grant, create, revoke
from coreconfig.server.identity.queries import all_tokens
from coreconfig.server.revisions import tables
from coreconfig.server.revisions.checkpoints import Checkpoint, save_checkpoint
from coreconfig.server.revisions.world import World

ROUNDS = 10
ROOT = Caller(principal="root", kind="user", roles=frozenset({ADMIN}))


def at_once(*steps: Callable[[], object]) -> list[str]:
    """Run them in threads that begin together; the codes of those that failed."""
    together = threading.Barrier(len(steps))
    failed: list[str] = []

    def run(step: Callable[[], object]) -> None:
        together.wait()
        try:
            step()
        except CoreConfigError as error:
            failed.append(error.code)
        except Exception as error:  # noqa: BLE001 - told by the test
            failed.append(repr(error))

    threads = [threading.Thread(target=run, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


def admin(database: Database, name: str, caller: Caller = ROOT) -> str:
    """A new administrator's token; its public id."""
    return database.write(lambda tx: create(tx, caller, Grant(name, roles=[ADMIN])))[0].id


def test_only_one_first_token_is_created_in_open_mode(database: Database) -> None:
    """Whoever comes second finds that open mode has ended."""
    failed = at_once(*(lambda n=n: admin(database, f"a{n}", local_caller) for n in range(4)))
    assert failed == ["not_authenticated"] * 3
    assert len(database.read(all_tokens)) == 1


def test_the_last_two_administrators_cannot_end_each_other(database: Database) -> None:
    """One of them stays, however they meet."""
    keeper = admin(database, "keeper", local_caller)
    for turn in range(ROUNDS):
        other = admin(database, f"other {turn}")
        failed = at_once(
            *(lambda one=one: database.write(lambda tx: revoke(tx, ROOT, one)) for one in (keeper, other))
        )
        assert failed == ["last_admin"]
        (keeper,) = [one.id for one in database.read(all_tokens) if one.revoked_at is None]


def test_a_checkpoint_that_two_servers_save_at_once_is_kept_once(database: Database) -> None:
    """Both come to the same world at the same time; neither fails for it."""

    def save(made: Checkpoint) -> None:
        database.write(lambda tx: save_checkpoint(tx, made))

    for _ in range(ROUNDS):
        made = Checkpoint.of(World(), datetime.now(UTC))
        assert at_once(*(partial(save, made) for _ in range(4))) == []
        database.write(lambda tx: tx.execute(delete(tables.checkpoint)))
