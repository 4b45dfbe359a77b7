"""Who may do what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreconfig.errors import Denied, NotFound
from coreconfig.model.keys import parse_key, parse_pattern
from coreconfig.server.access.actions import Action, Target
from coreconfig.server.access.caller import Caller, local_caller
from coreconfig.server.access.decisions import (
    WITHHELD,
    cut,
    demand,
    demand_read,
    may,
    may_administer,
    may_connect,
    may_read,
    may_read_whole,
    may_shape,
    may_write,
)


def person(
    *roles: str, environments: tuple[str, ...] = ("*",), keys: tuple[str, ...] = (), name: str = "ann"
) -> Caller:
    patterns = tuple(map(parse_pattern, keys))
    return Caller(name, "user", frozenset(roles), None, environments, patterns, "t1")


def service(*roles: str, name: str = "shop", environments: tuple[str, ...] = ("dev",)) -> Caller:
    return Caller(f"service:{name}", "service", frozenset(roles), name, environments, (), "t2")


def test_open_mode_may_do_everything() -> None:
    """Whoever sits at the machine is an administrator until the first token exists."""
    assert all(may(local_caller, action, Target("dev", "shop", ("a",))) for action in Action)


def test_a_service_reads_its_own_view_and_no_other() -> None:
    """Not the base view, not another service's, not another environment's."""
    shop = service()
    assert may_read(shop, "dev", "shop")
    assert not may_read(shop, "dev")
    assert not may_read(shop, "dev", "bank")
    assert not may_read(shop, "prod", "shop")


def test_a_service_connects_as_itself_only() -> None:
    """A session speaks for one instance of the token's service and environment."""
    shop = service()
    assert may_connect(shop, "dev", "shop")
    assert not may_connect(shop, "dev", "bank")
    assert not may_connect(shop, "prod", "shop")


def test_a_service_writes_only_as_editor_and_only_into_its_own_layer() -> None:
    """It proposes if it was given that right, and never into what others share."""
    assert not may_write(service(), "dev", "shop", ("a",))
    editor = service("editor")
    assert may_write(editor, "dev", "shop", ("a",))
    assert not may_write(editor, "dev", None, ("a",))
    assert not may_write(editor, "dev", "bank", ("a",))
    assert not may_shape(editor, "dev")


@pytest.mark.parametrize(
    "action", [Action.READ_LOG, Action.READ_FLEET, Action.READ_CHANGES, Action.READ_ENVIRONMENT]
)
def test_a_service_does_not_look_around(action: Action) -> None:
    """The log, the fleet, the changes and the layers are for people."""
    assert not may(service("editor"), action, Target("dev"))
    assert may(person("viewer"), action, Target("dev"))


def test_only_administrators_deal_with_tokens() -> None:
    """Neither an editor nor an operator creates tokens."""
    assert may_administer(person("admin"))
    assert may_administer(person("security-admin"))
    assert not any(
        may_administer(person(role)) for role in ("viewer", "editor", "operator", "release-approver")
    )


def test_a_viewer_writes_nothing() -> None:
    """Reading gives no right to propose; nor does operating."""
    assert not may_write(person("viewer"), "dev", None, ("a",))
    assert not may_write(person("operator"), "dev", None, ("a",))
    assert may_write(person("editor"), "dev", None, ("a",))


def test_a_person_stays_within_the_environments_of_the_token() -> None:
    """A right holds where it was given."""
    editor = person("editor", environments=("dev",))
    assert may_write(editor, "dev", None, ("a",))
    assert not may_write(editor, "prod", None, ("a",))
    assert not may_read(editor, "prod")


SEGMENT = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(SEGMENT, min_size=1, max_size=4).map(tuple)
PATTERNS = st.lists(st.sampled_from(["a", "b", "c", "*", "**"]), min_size=1, max_size=3).map(".".join)


@given(PATTERNS, PATHS, PATHS)
def test_what_grants_a_node_grants_everything_below_it(
    pattern: str, path: tuple[str, ...], below: tuple[str, ...]
) -> None:
    """Otherwise a subtree could be written through its root and not through its leaves."""
    editor = person("editor", keys=(pattern,))
    if may_write(editor, "dev", None, path):
        assert may_write(editor, "dev", None, path + below)


@given(PATTERNS, PATHS)
def test_nothing_is_written_through_a_node_that_also_holds_foreign_keys(
    pattern: str, path: tuple[str, ...]
) -> None:
    """To write a node means to write all that is below it, so a pattern of something below is not enough."""
    editor = person("editor", keys=(pattern,))
    granted = any(parse_pattern(pattern).matches(path[:end]) for end in range(len(path) + 1))
    assert may_write(editor, "dev", None, path) == granted


def test_an_answer_is_cut_to_the_keys_of_the_caller() -> None:
    """Leaves that no pattern grants are left out, and so are objects that become empty by it."""
    viewer = person("viewer", keys=("risk.*", "log"))
    tree = {"risk": {"max": 1, "min": {"x": 2}}, "log": {"level": "info"}, "db": {"url": "..."}, "n": 3}
    assert cut(viewer, "dev", None, tree) == {
        "risk": {"max": 1, "min": {"x": 2}},
        "log": {"level": "info"},
    }
    assert cut(viewer, "dev", None, 3, parse_key("n")) == WITHHELD
    assert not may_read_whole(viewer, "dev")


def test_a_foreign_environment_is_answered_like_a_missing_one() -> None:
    """Nobody finds out by asking what exists."""
    viewer = person("viewer", environments=("dev",))
    with pytest.raises(NotFound) as foreign:
        demand_read(viewer, "prod")
    from coreconfig.model.environments import environment_in

    with pytest.raises(NotFound) as missing:
        environment_in({}, "prod")
    assert (foreign.value.code, foreign.value.message) == (missing.value.code, missing.value.message)


def test_a_foreign_service_is_answered_the_same_whether_it_exists() -> None:
    """The answer is decided by the token alone, before anybody looks."""
    with pytest.raises(NotFound) as caught:
        demand_read(service(), "dev", "bank")
    assert caught.value.code == "unknown_service"


def test_a_refusal_says_what_is_missing() -> None:
    """The person who is refused learns which right to ask for."""
    with pytest.raises(Denied, match="role editor"):
        demand(person("viewer"), Action.PROPOSE, Target("dev", None, ("a",)))
    with pytest.raises(Denied, match="admin or security-admin"):
        demand(person("editor"), Action.ADMINISTER_TOKENS)
