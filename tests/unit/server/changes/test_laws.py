"""Laws that hold after any sequence of changes: what is kept up to date is what would be built anew."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.unit.model import strategies as our

from coreconfig.errors import CoreConfigError
from coreconfig.model.canonical import same
from coreconfig.model.documents import from_document, to_document
from coreconfig.model.edit_form import edits_from_json
from coreconfig.model.edits import Edit, apply_edits
from coreconfig.model.environments import Environments, known_services, linearise
from coreconfig.model.keys import format_key, parse_pattern
from coreconfig.model.snapshots import apply, digest_of
from coreconfig.model.trees import MISSING, Tree, delete_at, get_at, leaves, plain, set_at
from coreconfig.model.views import View, advance_view, build_view
from coreconfig.model.weights import weigh_layer
from coreconfig.server.changes.impact import Pair
from coreconfig.server.changes.judge import Judgement, judge
from coreconfig.server.changes.reverting import reverting_edits

ENVIRONMENTS = st.sampled_from(["e1", "e2", "e3", "e4"])
SERVICES = st.sampled_from(["s", "t"])
KEYS = our.paths.map(format_key)
REFERENCES = st.builds("${{config:{}}}".format, KEYS) | st.builds("at ${{config:{}}}!".format, KEYS)
LEAVES = st.one_of(our.leaves, our.leaves, our.leaves, REFERENCES)
LAYERS = our.objects(LEAVES | st.just({"$unset": True}))
PARENTS = st.lists(ENVIRONMENTS, max_size=2, unique=True)
SEALS = st.one_of(st.just([]), st.just([]), KEYS.map(lambda key: [key]))


def value_edits() -> st.SearchStrategy[dict[str, Any]]:
    place: dict[str, Any] = {
        "kind": st.just("value"),
        "environment": ENVIRONMENTS,
        "service": st.none() | SERVICES,
        "key": KEYS,
    }
    written = st.fixed_dictionaries({**place, "operation": st.just("set"), "value": LEAVES | LAYERS})
    merged = st.fixed_dictionaries({**place, "operation": st.just("merge"), "value": LAYERS})
    removed = st.fixed_dictionaries({**place, "operation": st.sampled_from(["delete", "unset"])})
    return written | merged | removed


def environment_edits() -> st.SearchStrategy[dict[str, Any]]:
    place = {"kind": st.just("environment"), "environment": ENVIRONMENTS}
    services = st.dictionaries(SERVICES, st.fixed_dictionaries({"configuration": LAYERS}))
    document = st.fixed_dictionaries(
        {
            "type": st.just("development"),
            "inherits": PARENTS,
            "overrides": st.fixed_dictionaries({"configuration": LAYERS}),
            "services": services,
            "sealed": SEALS,
        }
    )
    update = st.fixed_dictionaries(
        {},
        optional={
            "inherits": PARENTS,
            "services": st.dictionaries(SERVICES, st.sampled_from([None, {}, {"instances": 2}])),
            "sealed": SEALS,
        },
    )
    made = st.fixed_dictionaries({**place, "operation": st.just("create"), "document": document})
    updated = st.fixed_dictionaries({**place, "operation": st.just("update"), "document": update})
    return made | made | updated | st.fixed_dictionaries({**place, "operation": st.just("delete")})


class AnyChanges(RuleBasedStateMachine):
    """Changes as requests make them; those that are refused change nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Environments = {}
        self.now: Environments = {}
        self.kept: dict[Pair, View] = {}
        self.judged: Judgement | None = None

    @rule(said=st.lists(value_edits(), min_size=1, max_size=3))
    def set_values(self, said: list[dict[str, Any]]) -> None:
        self.propose(said)

    @rule(said=st.lists(environment_edits() | value_edits(), min_size=1, max_size=3))
    def shape_environments(self, said: list[dict[str, Any]]) -> None:
        self.propose(said)

    def propose(self, said: list[dict[str, Any]]) -> None:
        try:
            edits: list[Edit] = edits_from_json(json.loads(json.dumps(said)))
            judged = judge(self.now, edits)
        except CoreConfigError:
            return
        self.judged, self.before, self.now = judged, self.now, judged.environments
        self.kept = {pair: self.advanced(pair) for pair in pairs(self.now)}

    def advanced(self, pair: Pair) -> View:
        """The view brought up to date, where there was one."""
        held = self.kept.get(pair)
        if held is None or self.judged is None:
            return build_view(self.now, *pair)
        view, changes = advance_view(held, self.now, self.judged.touches)
        assert same(plain(apply(held.tree, changes)), plain(view.tree))
        return view

    @invariant()
    def views_are_what_would_be_built(self) -> None:
        for pair, view in self.kept.items():
            fresh = build_view(self.now, *pair)
            assert same(plain(view.tree), plain(fresh.tree))
            assert view.digest == fresh.digest == digest_of(view.tree)
            assert set(view.referring) == set(fresh.referring)

    @invariant()
    def weights_are_what_would_be_weighed(self) -> None:
        for one in self.now.values():
            assert one.base_weight == weigh_layer(one.base)
            assert all(entry.weight == weigh_layer(entry.layer) for entry in one.services.values())
            document = to_document(one)
            assert same(to_document(from_document(document)), document)

    @precondition(lambda self: self.judged is not None)
    @invariant()
    def moves_are_the_whole_difference(self) -> None:
        assert self.judged is not None
        trees = {pair: tree_of(self.before, pair) for pair in {*pairs(self.before), *pairs(self.now)}}
        for move in self.judged.impact.moves:
            for pair in move.pairs:
                assert (get_at(trees[pair], move.path) is MISSING) == (move.old is MISSING)
                gone = move.new is MISSING
                tree = trees[pair]
                trees[pair] = (
                    delete_at(tree, move.path, prune=False) if gone else set_at(tree, move.path, move.new)
                )
        for pair, tree in trees.items():
            assert same(plain(tree), plain(tree_of(self.now, pair)))

    @invariant()
    def sealed_leaves_are_those_of_the_sealing_environment(self) -> None:
        for environment, service in pairs(self.now):
            for above in linearise(self.now, environment)[:-1]:
                own = leaves_of(self.now, (environment, service))
                theirs = leaves_of(self.now, (above, service))
                for pattern in map(parse_pattern, self.now[above].sealed):
                    for path in {*own, *theirs}:
                        if any(pattern.matches(path[:end]) for end in range(1, len(path) + 1)):
                            assert path in own
                            assert path in theirs
                            assert same(own[path], theirs[path])

    @invariant()
    def a_change_that_is_taken_back_leaves_nothing(self) -> None:
        edits = reverting_edits(self.before, self.now, self.now)
        back = apply_edits(self.now, edits).environments if edits else self.now
        assert same(*({name: to_document(one) for name, one in all_.items()} for all_ in (back, self.before)))


def pairs(environments: Environments) -> list[Pair]:
    return [
        (name, service) for name in environments for service in (None, *known_services(environments, name))
    ]


def tree_of(environments: Environments, pair: Pair) -> Tree:
    """What a pair resolves to; a service that nobody declared sees the base."""
    if pair[0] not in environments:
        return {}
    known = pair[1] in known_services(environments, pair[0])
    return build_view(environments, pair[0], pair[1] if known else None).tree


def leaves_of(environments: Environments, pair: Pair) -> dict[tuple[str, ...], Any]:
    return dict(leaves(tree_of(environments, pair)))


TestAnyChanges = AnyChanges.TestCase
TestAnyChanges.settings = settings(max_examples=60, stateful_step_count=25)
