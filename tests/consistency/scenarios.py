"""One short story for each seeded bug, in which it must show. Without a bug they break no promise."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.consistency.history import Edit, Guard, Restored, Seen, Told
from tests.consistency.processes import Agent
from tests.consistency.rig import Rig, read_log

from coreconfig.server.recovery.backup import backup
from coreconfig.server.recovery.restore import restore

Scenario = Callable[[Rig], None]


def answer_before_commit(rig: Rig) -> None:
    """The server is killed at the moment in which a write is answered."""
    caller, server = rig.caller("hasty"), rig.servers[0]
    for number in range(2):
        caller.put("registers.r0", f"hasty {number}")
        rig.fault("kill", server.name)
        server.kill()
        server.start()


def guard_without_where(rig: Rig) -> None:
    """Two writers make up their minds about the same state of a key."""
    caller = rig.caller("careful")
    seen = caller.put("registers.r1", "seen by both").revision
    state = caller.state_of(("child", None), "registers.r1")
    assert seen is not None
    assert state is not None
    for number in range(2):
        caller.put("registers.r1", f"if match {number}", guard=state)
    expected = Guard("expected_revision", "child", None, "registers.r1", 1, seen)
    caller.put("registers.r1", "expected", guard=expected)


def resume_off_by_one(rig: Rig) -> None:
    """A client is away for exactly one change, after which nothing comes that could wake it."""
    caller, proxy = rig.caller("single"), rig.proxies[0]
    client = _client(rig, "away")
    _arrives(rig, client, caller.put("registers.r0", "before it goes").revision)
    proxy.set(refuse=True)
    proxy.cut()
    caller.put("registers.r0", "while it is away")
    proxy.clear()
    _arrives(rig, client, caller.last_known)


def batch_split(rig: Rig) -> None:
    """Ten keys change at once."""
    caller, client = rig.caller("batch"), _client(rig, "whole")
    for mark in ("one", "two"):
        edits = [Edit("child", "alpha", f"batch.k{n}", "set", mark) for n in range(10)]
        _arrives(rig, client, caller.write(edits).revision)


def duplicate_callback(rig: Rig) -> None:
    """A watched key changes."""
    caller, client = rig.caller("watched"), _client(rig, "told")
    revision = caller.put("registers.r0", "to be told once").revision
    rig.history.until(Told, lambda told: told.client == client and told.revision == revision, rig.patience)


def lower_revision_accepted(rig: Rig) -> None:
    """The first snapshot of a stream arrives once more, after everything that followed it."""
    caller, proxy = rig.caller("later"), rig.proxies[0]
    client = _client(rig, "steady")
    for number in range(3):
        _arrives(rig, client, caller.put("registers.r0", f"newer {number}").revision)
    proxy.repeat_first("snapshot")
    _arrives(rig, client, caller.put("registers.r0", "after the repetition").revision)


def epoch_unchecked(rig: Rig) -> None:
    """The database is replaced by a copy of before, in a new epoch, while a client is on what came after."""
    caller = rig.caller("restored")
    client = _client(rig, "ahead")
    _arrives(rig, client, caller.put("registers.r0", "in the copy").revision)
    copy = rig.folder / "copy.db"
    backup(rig.database, copy)
    for number in range(3):
        caller.put("registers.r1", f"not in the copy {number}")
    _arrives(rig, client, caller.last_known)
    rig.stop_servers()
    log = rig.log()
    restored = restore(rig.database, copy, reason="a test")
    rig.history.note(Restored(time.monotonic(), len(read_log(f"sqlite:///{copy}"))))
    rig.start_servers()
    caller.last_known = 0
    caller.put("registers.r0", "in the new epoch")
    _arrives(rig, client, caller.last_known, epoch=restored.row.epoch)
    assert restored.row.epoch > log.rows[-1].epoch


def later_content(rig: Rig) -> None:
    """A key changes, and is read under the revision that the answer names."""
    caller, client = rig.caller("labels"), _client(rig, "labelled")
    for number in range(2):
        revision = caller.put("registers.r0", f"labelled {number}").revision
        caller.read(("child", "alpha"))
        caller.read(("child", "alpha"), minimum=revision)
    _arrives(rig, client, caller.last_known)


def notice_without_polling(rig: Rig) -> None:
    """A change at one replica is read at another that was told nothing of it."""
    caller = rig.caller("told-nothing")
    client = _client(rig, "elsewhere", replica=1)
    revision = caller.put("registers.r0", "at the first").revision or 0
    until = time.monotonic() + rig.limits.lag + rig.limits.slack + 0.3
    while (caller.read(("child", "alpha"), at=1).revision or 0) < revision and time.monotonic() < until:
        time.sleep(0.05)
    _arrives(rig, client, revision)


def idempotency_forgotten(rig: Rig) -> None:
    """The answers to a write are lost, and it is sent again."""
    caller = rig.caller("again", through_proxies=True)
    rig.proxies[0].lose_answers(1)
    caller.put("registers.r0", "only once", tries=len(rig.proxies) + 2)
    caller.put("registers.r0", "once more", tries=2, again=True)


def digest_unchecked(rig: Rig) -> None:
    """A value is changed on its way to a client."""
    caller, proxy = rig.caller("honest"), rig.proxies[0]
    client = _client(rig, "deceived")
    _arrives(rig, client, caller.put("registers.r0", "as it is").revision)
    proxy.garble_next()
    revision = caller.put("registers.r0", "what is meant").revision
    _arrives(rig, client, revision)


def shared_tree(rig: Rig) -> None:
    """A program changes what it was handed out, and reads again."""
    caller, client = rig.caller("objects"), _client(rig, "careless", spoils=True)
    edits = [Edit("child", "alpha", "shared", "set", {"inner": {"list": [1, 2]}, "text": "mine"})]
    _arrives(rig, client, caller.write(edits).revision)
    agent = _agent(rig)
    agent.ask("spoil", client=client)
    agent.ask("see")


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        answer_before_commit,
        guard_without_where,
        resume_off_by_one,
        batch_split,
        duplicate_callback,
        lower_revision_accepted,
        later_content,
        notice_without_polling,
        idempotency_forgotten,
        digest_unchecked,
        shared_tree,
        epoch_unchecked,
    )
}
REPLICAS = {"notice_without_polling": 2}
"""How many servers a story needs, where one is not enough."""


def _agent(rig: Rig) -> Agent:
    return rig.agents[0] if rig.agents else rig.agent()


def _client(rig: Rig, name: str, *, replica: int = 0, spoils: bool = False) -> str:
    """A client of `child` behind the proxy of a replica, which comes back quickly when it was cut off."""
    _agent(rig).join(
        client=name,
        environment="child",
        service="alpha",
        url=rig.proxies[replica].url,
        patterns=[["**"], ["batch.*", "registers"]],
        jitter=0.02,
        reads_every=0.02,
        spoils=spoils,
    )
    return name


def _arrives(rig: Rig, client: str, revision: int | None, *, epoch: int = 1) -> None:
    """Wait until a client has come to a revision, or until patience ends: the checker says what is wrong."""
    wanted = (epoch, revision or 0)
    rig.history.until(
        Seen,
        lambda seen: seen.client == client and (seen.epoch, seen.revision) >= wanted,
        rig.patience,
    )
