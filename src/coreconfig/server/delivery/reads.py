"""Resolved configuration over HTTP: whole or in part, one key, why it is so, and how it came to be so."""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol, cast

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from coreconfig.errors import KeyNotFound, NotFound
from coreconfig.model.environments import Environments, known_services
from coreconfig.model.keys import Path, format_key
from coreconfig.model.resolution import Contribution
from coreconfig.model.trees import MISSING, Tree, flatten, get_at, plain, restricted
from coreconfig.server.access.caller import Caller, caller_of
from coreconfig.server.access.decisions import absence, cut, demand_read, may_read_whole
from coreconfig.server.delivery import explaining
from coreconfig.server.delivery.answering import Kept, answer
from coreconfig.server.delivery.authors import LastEdit, last_edit
from coreconfig.server.delivery.keys import ViewKey
from coreconfig.server.delivery.states import State
from coreconfig.server.delivery.views import ViewStore
from coreconfig.server.revisions.movements import Moved, history
from coreconfig.server.revisions.replica import Replica
from coreconfig.server.revisions.stamps import key_etag
from coreconfig.server.web.parameters import AT, BEFORE, ENV, EXPLAIN, FLAT, KEY, LIMIT, PREFIX, SERVICE
from coreconfig.server.web.responses import json_response
from coreconfig.server.web.services import Services, services_of
from coreconfig.server.web.worlds import requested_world
from coreconfig.wire.json import encode


class ReadServices(Services, Protocol):
    """What these routes ask of the process."""

    @property
    def replica(self) -> Replica:
        """The worlds."""

    @property
    def views(self) -> ViewStore:
        """The views."""


class Reading(NamedTuple):
    """A state of a view, and what it was read at."""

    key: ViewKey
    state: State
    epoch: int
    revision: int
    environments: Environments
    kept: Kept | None


async def read_configuration(request: Request) -> Response:
    """The whole of a resolved configuration, or the part below a prefix."""
    key, caller = key_of(request), caller_of(request)
    demand_read(caller, key.environment, key.service)
    prefix, flat, explain = PREFIX.of(request), FLAT.of(request), EXPLAIN.of(request)
    reading = await _reading(request, key)
    if not prefix and not explain and may_read_whole(caller, key.environment, key.service):
        return await _whole(request, reading, flat=flat)
    return await _part(request, caller, reading, prefix, flat=flat, explain=explain)


async def read_key(request: Request) -> Response:
    """One resolved node."""
    key, path, caller = key_of(request), KEY.of(request), caller_of(request)
    demand_read(caller, key.environment, key.service, path)
    await requested_world(request)
    etag = await _key_etag(request, key, path)
    reading = await _reading(request, key)
    node = reading.state.node(path)
    if node is MISSING:
        raise _absent(key, path, reading.revision)

    def body() -> bytes:
        said = {"revision": reading.revision, "key": format_key(path), "value": node, "etag": etag}
        return encode(said)

    return await answer(request, reading.revision, etag, body)


async def explain_key(request: Request) -> Response:
    """Which layers say what about a key, and which of it is left."""
    key, path, caller = key_of(request), KEY.of(request), caller_of(request)
    demand_read(caller, key.environment, key.service, path)
    reading = await _reading(request, key)
    found = explaining.contributions(reading.environments, key, path)
    node = reading.state.node(path)
    if node is MISSING and not found:
        raise _absent(key, path, reading.revision)
    edits = await _last_edits(request, found, path, reading.revision)
    said: dict[str, Any] = {"revision": reading.revision, "key": format_key(path)}
    if node is not MISSING:
        said["value"] = node
    said["contributions"] = [_contribution(caller, *pair) for pair in zip(found, edits, strict=True)]
    said["references"] = _references(caller, key, reading.environments, path)
    return json_response(said, revision=reading.revision)


async def read_history(request: Request) -> Response:
    """Every revision that moved the resolved value of a key, newest first."""
    key, path, caller = key_of(request), KEY.of(request), caller_of(request)
    demand_read(caller, key.environment, key.service, path)
    limit, before = LIMIT.of(request), BEFORE.of(request)
    world = await requested_world(request)
    _demand_view(caller, world.environments, key)
    # what is stored behind a damaged row is not served
    until = world.revision + 1 if before is None else min(before, world.revision + 1)
    rows = await services_of(request).database.reading(
        lambda tx: history(tx, key.environment, key.service, path, before=until, limit=limit)
    )
    # oldest first: the world of one revision is then a few rows away from that of the one before
    moves = [move for row in reversed(rows) if (move := await _move(request, key, path, row))]
    following = rows[-1].revision if len(rows) == limit else None
    said = {"key": format_key(path), "history": moves[::-1], "next": following}
    return json_response(said, revision=world.revision)


def key_of(request: Request) -> ViewKey:
    """The view that a path names. Raises `Invalid` (``bad_id``)."""
    service = SERVICE.of(request) if "service" in request.path_params else None
    return ViewKey(ENV.of(request), service)


def _demand_view(caller: Caller, environments: Environments, key: ViewKey) -> None:
    try:
        explaining.demand_view(environments, key)
    except NotFound as error:
        raise absence(caller, error) from None


def _services(request: Request) -> ReadServices:
    return cast("ReadServices", services_of(request))


async def _reading(request: Request, key: ViewKey) -> Reading:
    """The state that the request asks for: of the past with ``?at=``, else the newest that is new enough."""
    try:
        return await _found(request, key)
    except NotFound as error:
        raise absence(caller_of(request), error) from None


async def _found(request: Request, key: ViewKey) -> Reading:
    services = _services(request)
    world = await requested_world(request)
    if AT.of(request) is None or world.revision == services.replica.world.revision:
        view = await services.views.live(key)
        at = view.position  # no await from here on: the view, its position and the world belong together
        newest = services.replica.world
        if AT.of(request) in (None, at.revision):
            return Reading(key, view.state, at.epoch, at.revision, newest.environments, view.frames)
    # also where the world went on while the view was built
    state = await services.views.at(key, world.revision)
    return Reading(key, state, world.epoch, world.revision, world.environments, None)


async def _whole(request: Request, reading: Reading, *, flat: bool) -> Response:
    state, revision = reading.state, reading.revision

    def body() -> bytes:
        values = state.flat if flat else state.values
        return b'{"revision":%d,"digest":"%b","values":%b}' % (revision, state.digest.encode(), values)

    etag = _variant(state.digest, "flat") if flat else state.digest
    return await answer(request, revision, etag, body, kept=reading.kept, name="flat" if flat else "whole")


async def _part(
    request: Request, caller: Caller, reading: Reading, prefix: Path, *, flat: bool, explain: bool
) -> Response:
    """What lies below a prefix and may be seen, perhaps with the layers that gave it."""
    key, state = reading.key, reading.state
    seen = cast("Tree", cut(caller, key.environment, key.service, state.tree))
    tree = restricted(seen, [prefix]) if prefix else seen
    said: dict[str, Any] = {"revision": reading.revision, "digest": state.digest}
    said["values"] = flatten(tree) if flat else tree
    scope = ",".join(pattern.text for pattern in caller.keys)
    variant = f"{flat}\0{format_key(prefix) if prefix else ''}\0{scope}"
    if explain:
        said["provenance"] = await asyncio.to_thread(explaining.provenance, reading.environments, key, tree)
        variant += f"\0{reading.epoch}-{reading.revision}"
    return await answer(request, reading.revision, _variant(state.digest, variant), lambda: encode(said))


def _variant(digest: str, variant: str) -> str:
    """The ETag of something that depends on a state and on how it was asked for."""
    return f"{digest}-{blake2b(variant.encode(), digest_size=6).hexdigest()}"


async def _key_etag(request: Request, key: ViewKey, path: Path) -> str:
    """The ETag of a key, never newer than the value that is read after it.

    A tag that is older than the value lets ``If-Match`` fail for nothing; a newer one would lose an update.
    """
    services, at = _services(request), AT.of(request)
    world = services.replica.world
    # what is committed and not followed yet may never be: the log may be damaged there
    until = world.revision if at is None else at
    return await services.database.reading(
        lambda tx: key_etag(tx, world.epoch, key.environment, key.service, path, until=until)
    )


async def _last_edits(
    request: Request, found: list[Contribution], path: Path, until: int
) -> list[LastEdit | None]:
    def read(tx: Connection) -> list[LastEdit | None]:
        return [last_edit(tx, one.layer.environment, one.layer.service, path, until) for one in found]

    return await services_of(request).database.reading(read)


def _contribution(caller: Caller, one: Contribution, edit: LastEdit | None) -> dict[str, Any]:
    shown = explaining.contribution_json(caller, one)
    shown["revision"] = edit.revision if edit else None
    shown["author"] = edit.author if edit and caller.in_scope(one.layer.environment) else None
    return shown


def _references(caller: Caller, key: ViewKey, environments: Environments, path: Path) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = []
    for link in explaining.reference_chain(environments, key, path):
        one: dict[str, Any] = {"key": format_key(link.key), "target": format_key(link.target)}
        if link.value is not MISSING:
            one["value"] = plain(cut(caller, key.environment, key.service, link.value, link.target))
        shown.append(one)
    return shown


async def _move(request: Request, key: ViewKey, path: Path, row: Moved) -> dict[str, Any] | None:
    """A revision as the history shows it; None if it left the value at the key as it was."""
    sides = [await _value(request, key, path, revision) for revision in (row.revision - 1, row.revision)]
    if not explaining.differ(*sides):
        return None
    shown: dict[str, Any] = {
        "revision": row.revision,
        "epoch": row.epoch,
        "timestamp": row.committed_at,
        "author": row.author,
        "reason": row.reason,
        "change": row.change_id,
    }
    return shown | {
        name: side for name, side in zip(("old", "new"), sides, strict=True) if side is not MISSING
    }


async def _value(request: Request, key: ViewKey, path: Path, revision: int) -> Any:
    """What lay at a key at a revision; only where references are in play the whole view is built for it."""
    services = _services(request)
    world = await services.replica.at(revision)
    value, refers = explaining.value_at(world.environments, key, path)
    if not refers:
        return value
    if key.service not in known_services(world.environments, key.environment):
        key = ViewKey(key.environment)  # before it was declared it would have seen the base
    return get_at((await services.views.at(key, revision)).tree, path)


def _absent(key: ViewKey, path: Path, revision: int) -> KeyNotFound:
    return KeyNotFound(f"{key} has nothing at {format_key(path)}", revision=revision)
