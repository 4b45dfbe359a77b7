"""The views of this replica: built when first asked for, then brought up to date with every row of the log.

Everything but the building of a view happens on the loop, so that between two awaits all live views and the
replica's world stand at one revision.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from coreconfig.errors import NotFound
from coreconfig.model.edits import Touch, apply_edits, edit_from_json
from coreconfig.model.environments import Environments, descendants
from coreconfig.model.resolution import layers_of
from coreconfig.model.views import View, advance_view, build_view
from coreconfig.server.delivery.explaining import demand_view
from coreconfig.server.delivery.kept import Room
from coreconfig.server.delivery.keys import ViewKey
from coreconfig.server.delivery.states import LiveView, Standing, State
from coreconfig.server.revisions.log import LogRow
from coreconfig.server.revisions.world import World

_log = logging.getLogger(__name__)

DEFAULT_BUDGET_BYTES = 256 * 1024 * 1024
_PAST_VIEWS = 16
_BYTES_PER_JSON_BYTE = 6
"""A tree of small strings takes about this many times the bytes of its JSON text."""


class WorldSource(Protocol):
    """What views need of the replica."""

    @property
    def world(self) -> World:
        """The newest world."""
        ...

    async def at(self, revision: int) -> World:
        """The world at a past revision."""
        ...


@dataclass(slots=True)
class Advanced:
    """What a row of the log did to the live views: which have new content, which are gone, which failed."""

    moved: list[LiveView] = field(default_factory=list)
    gone: list[LiveView] = field(default_factory=list)
    failed: list[LiveView] = field(default_factory=list)


class ViewStore:
    """The live views by environment and service; those nobody uses go first when they take too much room."""

    def __init__(self, worlds: WorldSource, *, budget: int = DEFAULT_BUDGET_BYTES) -> None:
        self._worlds = worlds
        self._budget = budget
        self._room = Room()
        self._live: OrderedDict[ViewKey, LiveView] = OrderedDict()
        self._building: dict[ViewKey, asyncio.Task[None]] = {}
        self._past: OrderedDict[tuple[ViewKey, int, int], State] = OrderedDict()
        self._standing: Standing | None = None
        self._advances: list[tuple[World, Sequence[Touch]]] = []

    def __len__(self) -> int:
        return len(self._live)

    @property
    def size(self) -> int:
        """The bytes that all live views take, estimated."""
        return sum(view.size for view in self._live.values())

    async def live(self, key: ViewKey) -> LiveView:
        """The view; whoever wants it to stay has to pin it before the next await.

        Raises `NotFound` (``unknown_environment``, ``unknown_service``).
        """
        while (view := self._live.get(key)) is None:
            await self._built(key)
        self._live.move_to_end(key)
        return view

    async def at(self, key: ViewKey, revision: int) -> State:
        """The view as it was at a past revision. Raises `NotFound` also for revisions that are not kept."""
        world = await self._worlds.at(revision)
        name = (key, world.epoch, world.revision)
        state = self._past.get(name)
        if state is None:
            view = await asyncio.to_thread(build_view, world.environments, key.environment, key.service)
            state = self._past[name] = State(view, "", {}, self._room)
            while len(self._past) > _PAST_VIEWS:
                self._past.popitem(last=False)
        return state

    def pin(self, view: LiveView) -> None:
        """Somebody is connected to the view: it stays."""
        view.pins += 1

    def unpin(self, view: LiveView) -> None:
        """One fewer is connected to it."""
        view.pins -= 1
        self._make_room()

    def advance(self, before: World, after: World, row: LogRow) -> Advanced:
        """Bring every live view from one world to the next."""
        touches = _touches(before, row) if _follows(before, row) else _everything(before, after)
        if self._building:
            self._advances.append((after, touches))
        standing = self._stand(after)
        standing.epoch, standing.revision = after.epoch, after.revision
        near = _near(before, after, touches)
        result = Advanced()
        # the view of an environment alone comes first: its services' views share what it shares
        for view in sorted((v for v in self._live.values() if v.key.environment in near), key=_base_first):
            self._advance_one(view, after, touches, row, result)
        if after.epoch != before.epoch:
            self._begin_epoch(result)
        return result

    def _begin_epoch(self, result: Advanced) -> None:
        """Every view counts as moved, for into a new epoch all have to be led by a whole snapshot."""
        for view in self._live.values():
            view.forget_history()
        result.moved = list(self._live.values())

    def _advance_one(
        self, live: LiveView, world: World, touches: Sequence[Touch], row: LogRow, result: Advanced
    ) -> None:
        try:
            view, _ = advance_view(live.state.view, world.environments, touches, base=self._base_of(live.key))
        except NotFound:
            self._let_go(live)
            result.gone.append(live)
            return
        except Exception:  # noqa: BLE001  # a view that cannot follow must not keep the others from it
            _log.exception("the view of %s could not be brought to revision %d", live.key, row.revision)
            self._let_go(live)
            result.failed.append(live)
            return
        if view.digest == live.state.view.digest:
            live.state.view = view
            return
        live.moved(State(view, row.committed_at, _metadata(row), self._room))
        result.moved.append(live)

    async def _built(self, key: ViewKey) -> None:
        """Wait until the view is there; who asks meanwhile waits for the same work."""
        building = self._building.get(key)
        if building is None:
            demand_view(self._worlds.world.environments, key)
            building = self._building[key] = asyncio.create_task(self._build(key))
        await asyncio.shield(building)

    async def _build(self, key: ViewKey) -> None:
        """Build in a thread, then make up for the rows that came meanwhile."""
        try:
            if key.service is not None:
                await self.live(ViewKey(key.environment))
            world, seen = self._worlds.world, len(self._advances)
            view = await asyncio.to_thread(_build_over, world.environments, key, self._base_of(key))
            for after, touches in self._advances[seen:]:
                view, _ = advance_view(view, after.environments, touches)
            self._keep(key, view)
        finally:
            del self._building[key]
            if not self._building:
                self._advances.clear()

    def _keep(self, key: ViewKey, view: View) -> None:
        world = self._worlds.world
        weight = 4096 + _BYTES_PER_JSON_BYTE * _json_bytes(world.environments, key)
        state = State(view, _now(), {}, self._room)
        self._live[key] = LiveView(key, state, self._stand(world), weight, self._room)
        self._make_room(spare=key)

    def _let_go(self, view: LiveView) -> None:
        del self._live[view.key]
        view.let_go()

    def _stand(self, world: World) -> Standing:
        if self._standing is None:
            self._standing = Standing(world.epoch, world.revision)
        return self._standing

    def _base_of(self, key: ViewKey) -> View | None:
        base = self._live.get(ViewKey(key.environment)) if key.service is not None else None
        return base.state.view if base is not None else None

    def _make_room(self, spare: ViewKey | None = None) -> None:
        size = self.size
        for view in list(self._live.values()) if size > self._budget else ():
            if size <= self._budget:
                return
            if view.pins == 0 and view.key != spare:
                size -= view.size
                self._let_go(view)


def _build_over(environments: Environments, key: ViewKey, base: View | None) -> View:
    return build_view(environments, key.environment, key.service, base=base)


def _json_bytes(environments: Environments, key: ViewKey) -> int:
    """The bytes of the layers that belong to this view alone, or to the base that its siblings share."""
    layers = layers_of(environments, key.environment, key.service)
    own = [layer for layer in layers if layer.service == key.service]
    return sum(environments[layer.environment].weight(layer.service).bytes for layer in own)


def _follows(before: World, row: LogRow) -> bool:
    """Whether a row is the next one; in a new epoch the log may go on from somewhere else."""
    return row.revision == before.revision + 1 and row.previous == before.hash


def _everything(before: World, after: World) -> tuple[Touch, ...]:
    return tuple(Touch(name, None, ()) for name in {**before.environments, **after.environments})


def _touches(before: World, row: LogRow) -> tuple[Touch, ...]:
    return apply_edits(before.environments, [edit_from_json(edit) for edit in row.edits]).touches


def _near(before: World, after: World, touches: Sequence[Touch]) -> set[str]:
    """The environments whose views a change can reach: the touched ones and what inherits from them."""
    touched = {touch.environment for touch in touches}
    return {
        environment
        for world in (before, after)
        for name in touched
        for environment in descendants(world.environments, name)
    }


def _base_first(view: LiveView) -> bool:
    return view.key.service is not None


def _metadata(row: LogRow) -> dict[str, Any]:
    return {"change": row.change_id, "author": row.author, "reason": row.reason}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
