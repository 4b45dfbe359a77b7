"""Views that are kept up to date are what building them anew would give."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.server.delivery.worlds import MemoryLog, create, put, remove, unset

from coreconfig.errors import NotFound
from coreconfig.model.edits import Edit
from coreconfig.model.snapshots import apply, diff, digest_of, digest_text
from coreconfig.model.trees import plain
from coreconfig.model.views import build_view
from coreconfig.server.delivery.keys import ViewKey
from coreconfig.server.delivery.states import MAX_STATES, LiveView
from coreconfig.server.delivery.views import ViewStore

ENGINE = ViewKey("demo", "engine")


def beginning() -> MemoryLog:
    log = MemoryLog()
    log.commit(create("global", log={"level": "info"}, copy="${config:log.level}"))
    log.commit(create("demo", inherits=["global"], services={"engine": {"risk": {"max": 1}}, "bridge": {}}))
    log.commit(create("other", inherits=["global"], services={"engine": {}}))
    return log


def store_of(log: MemoryLog, **settings: Any) -> ViewStore:
    store = ViewStore(log, **settings)
    log.followers.append(store.advance)
    return store


def assert_fresh(log: MemoryLog, view: LiveView) -> None:
    built = build_view(log.world.environments, view.key.environment, view.key.service)
    assert plain(view.state.tree) == plain(built.tree)
    assert view.position.digest == digest_text(built.digest)
    assert (view.position.epoch, view.position.revision) == (log.world.epoch, log.world.revision)


keys = st.sampled_from(["log.level", "log", "risk.max", "risk", "copy", "a.b.c", "a"])
objects = st.sampled_from([{}, {"max": 2}, {"level": "debug", "deep": {"er": 1}}])
values = st.sampled_from([0, 1, "x", "${config:risk}", None]) | objects
places = st.sampled_from(
    [("global", None), ("global", "engine"), ("demo", None), ("demo", "engine"), ("other", "engine")]
)
edits = st.builds(
    lambda place, key, value, gone: unset(*place, key) if gone else put(*place, key, value),
    places,
    keys,
    values,
    st.booleans(),
)


@given(st.lists(st.lists(edits, min_size=1, max_size=3), max_size=12), st.integers(0, 5))
def test_a_live_view_is_what_building_it_gives(changes: list[list[Edit]], begin: int) -> None:
    """After any history, whenever the view came to life, it equals the fold over that revision's layers."""

    async def scenario() -> None:
        log = beginning()
        store = store_of(log)
        alive: list[LiveView] = []
        for number, change in enumerate(changes):
            if number == begin:
                wanted = [ViewKey("global"), ViewKey("demo"), ENGINE, ViewKey("other", "engine")]
                alive = [await store.live(key) for key in wanted]
            try:
                log.commit(*change)
            except Exception:  # noqa: BLE001, S112  # a change that the model refuses is no part of the history
                continue
            for view in alive:
                assert_fresh(log, view)

    asyncio.run(scenario())


async def test_only_views_that_a_change_can_touch_move() -> None:
    """A change in one environment leaves its siblings' states the very same objects."""
    log = beginning()
    store = store_of(log)
    mine, foreign, sibling = [
        await store.live(key) for key in (ENGINE, ViewKey("other", "engine"), ViewKey("demo", "bridge"))
    ]
    before = foreign.state, sibling.state
    [advanced] = log.commit(put("demo", "engine", "risk.max", 2))
    assert advanced.moved == [mine]
    assert (foreign.state, sibling.state) == before
    assert foreign.position.revision == log.world.revision


async def test_a_change_without_effect_moves_no_view() -> None:
    """What a service layer hides can change below it and nobody gets anything."""
    log = beginning()
    store = store_of(log)
    log.commit(put("demo", "engine", "log.level", "warn"))
    view = await store.live(ENGINE)
    [advanced] = log.commit(put("global", None, "log.level", "error"))
    assert view not in advanced.moved
    assert_fresh(log, view)


async def test_a_view_that_is_being_built_takes_in_what_comes_meanwhile() -> None:
    """Rows that are applied while the view is built in a thread are not lost."""
    log = beginning()
    store = store_of(log)
    building = [asyncio.create_task(store.live(key)) for key in (ENGINE, ENGINE, ViewKey("demo"))]
    for value in range(20):
        await asyncio.sleep(0)
        log.commit(put("global", None, "log.level", value), put("demo", "engine", "risk.max", value))
    engine, again, base = await asyncio.gather(*building)
    assert engine is again
    assert_fresh(log, engine)
    assert_fresh(log, base)


async def test_services_of_an_environment_share_its_tree() -> None:
    """A subtree that a service does not touch is held once, however many services there are."""
    log = beginning()
    store = store_of(log)
    views = [await store.live(key) for key in (ViewKey("demo"), ENGINE, ViewKey("demo", "bridge"))]
    assert len({id(view.state.tree["log"]) for view in views}) == 1


async def test_remembered_states_lead_to_the_newest_one() -> None:
    """From each state of the history the difference gives the newest tree and digest."""
    log = beginning()
    store = store_of(log)
    view = await store.live(ENGINE)
    for value in range(2, 12):
        log.commit(put("demo", "engine", "risk.max", value))
    assert len(view.history) == 11
    for state in view.history.values():
        after = apply(state.tree, diff(state.tree, view.state.tree))
        assert digest_text(digest_of(after)) == view.position.digest


async def test_the_history_is_bounded() -> None:
    """Only the newest states are remembered; who holds an older one gets a snapshot."""
    log = beginning()
    store = store_of(log)
    view = await store.live(ENGINE)
    first = view.position.digest
    for value in range(2, MAX_STATES + 5):
        log.commit(put("demo", "engine", "risk.max", value))
    assert len(view.history) == MAX_STATES
    assert first not in view.history


async def test_a_new_epoch_forgets_the_history() -> None:
    """Nothing of the epoch before can be continued from."""
    log = beginning()
    store = store_of(log)
    view = await store.live(ENGINE)
    log.commit(put("demo", "engine", "risk.max", 2))
    log.commit(epoch=2)
    assert list(view.history) == [view.position.digest]
    assert view.position.epoch == 2


async def test_the_view_of_a_deleted_environment_is_gone() -> None:
    """It is reported once, and asking for it again says that there is no such environment."""
    log = beginning()
    store = store_of(log)
    view = await store.live(ENGINE)
    [advanced] = log.commit(remove("demo"))
    assert view in advanced.gone
    with pytest.raises(NotFound) as refused:
        await store.live(ENGINE)
    assert refused.value.code == "unknown_environment"


async def test_an_unknown_service_is_refused_until_it_is_declared() -> None:
    """The first value of a service declares it."""
    log = beginning()
    store = store_of(log)
    with pytest.raises(NotFound) as refused:
        await store.live(ViewKey("demo", "newcomer"))
    assert refused.value.code == "unknown_service"
    log.commit(put("demo", "newcomer", "a", 1))
    assert_fresh(log, await store.live(ViewKey("demo", "newcomer")))


async def test_views_that_nobody_uses_make_room() -> None:
    """Over the budget the least recently used views go; one that somebody is connected to stays."""
    log = beginning()
    store = store_of(log, budget=1)
    kept = await store.live(ENGINE)
    store.pin(kept)
    newest = await store.live(ViewKey("other", "engine"))
    assert await store.live(ENGINE) is kept
    assert {view.key for view in (kept, newest)} == {ENGINE, ViewKey("other", "engine")}
    assert len(store) == 2
    store.unpin(kept)
    assert len(store) == 0


async def test_many_views_at_once_under_a_small_budget_are_all_right() -> None:
    """A view that had to make room while somebody waited for it is built again, never handed out stale."""
    log = beginning()
    store = store_of(log, budget=1)
    wanted = [
        ENGINE,
        ViewKey("demo", "bridge"),
        ViewKey("other", "engine"),
        ViewKey("demo"),
        ViewKey("global"),
    ]
    asking = [asyncio.create_task(store.live(key)) for key in wanted * 3]
    for value in range(5):
        await asyncio.sleep(0.002)
        log.commit(put("global", None, "log.level", value))
    for view in await asyncio.gather(*asking):
        assert view.key in wanted
    for key in wanted:
        assert_fresh(log, await store.live(key))


async def test_a_past_revision_is_read_as_it_was() -> None:
    """What was true at a revision is true at it for ever."""
    log = beginning()
    store = store_of(log)
    then = log.world.revision
    log.commit(put("demo", "engine", "risk.max", 99))
    assert (await store.at(ENGINE, then)).tree["risk"] == {"max": 1}
    assert (await store.live(ENGINE)).state.tree["risk"] == {"max": 99}
    with pytest.raises(NotFound):
        await store.at(ENGINE, 1_000)
