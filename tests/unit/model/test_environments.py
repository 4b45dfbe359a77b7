"""Inheritance between environments, their documents, and the edits that change them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.model import strategies as our

from coreconfig.errors import Invalid, NotFound
from coreconfig.model.canonical import same
from coreconfig.model.documents import from_document, to_document
from coreconfig.model.edit_form import edits_from_json
from coreconfig.model.edits import ValueEdit, apply_edits, check_structure, edit_to_json
from coreconfig.model.environments import Environment, linearise
from coreconfig.model.facts import check_facts, facts_of
from coreconfig.model.plans import plan
from coreconfig.model.seals import broken_seals


def family(**parents):
    return {name: Environment(name, name, "development", tuple(of)) for name, of in parents.items()}


def test_later_parents_win_and_a_diamond_counts_each_ancestor_once():
    """C3 keeps the order of every list of parents."""
    envs = family(top=[], left=["top"], right=["top"], bottom=["left", "right"])
    assert linearise(envs, "bottom") == ("top", "left", "right", "bottom")


@given(st.data())
def test_the_order_is_that_of_pythons_own_classes(data):
    """The same graph as classes has the same method resolution order, or is refused by both."""
    names = [f"n{i}" for i in range(6)]
    parents = {
        name: data.draw(st.lists(st.sampled_from(names[:i]), unique=True, max_size=3)) if i else []
        for i, name in enumerate(names)
    }
    envs = family(**parents)
    classes: dict[str, type] = {}
    try:
        for name in names:
            classes[name] = type(name, tuple(classes[p] for p in reversed(parents[name])), {})
    except TypeError:
        with pytest.raises(Invalid) as caught:
            [linearise(envs, name) for name in names]
        assert caught.value.code == "inherits_order"
        return
    expected = [c.__name__ for c in classes["n5"].__mro__[:-1]]
    assert list(reversed(linearise(envs, "n5"))) == expected


@pytest.mark.parametrize(
    ("parents", "code", "path"),
    [
        ({"a": ["b"], "b": ["c"], "c": ["a"]}, "inherits_cycle", "a -> b -> c -> a"),
        ({"a": ["b"], "b": ["gone"]}, "inherits_unknown", "a -> b -> gone"),
        ({"a": ["x", "y"], "x": ["p", "q"], "y": ["q", "p"], "p": [], "q": []}, "inherits_order", "'a'"),
        (
            {f"e{i}": [f"e{i + 1}"] for i in range(70)} | {"e70": []} | {"a": ["e0"]},
            "inherits_too_deep",
            "e0",
        ),
    ],
)
def test_parents_that_cannot_be_ordered_are_refused_with_the_path(parents, code, path):
    """Whoever wrote the list has to see which step is wrong."""
    with pytest.raises(Invalid, match=path.replace("(", "\\(")) as caught:
        linearise(family(**parents), "a")
    assert caught.value.code == code


def test_compliance_only_grows_and_the_rest_inherits():
    """A child cannot shed a requirement by listing its own."""
    envs = {
        "p": from_document(
            {"id": "p", "type": "staging", "properties": {"region": "eu", "complianceRequirements": ["SOX"]}}
        ),
        "c": from_document(
            {
                "id": "c",
                "type": "staging",
                "inherits": ["p"],
                "properties": {"complianceRequirements": ["GDPR"]},
            }
        ),
    }
    facts = facts_of(envs, "c")
    assert facts.properties == {"region": "eu", "complianceRequirements": ["SOX", "GDPR"]}


def test_security_is_never_relaxed_below_a_parent_that_is_high():
    """STANDARD may become RELAXED, as in the specification's development; HIGH may not."""

    def child_of(level):
        return {
            "p": from_document({"id": "p", "type": "staging", "properties": {"securityLevel": level}}),
            "c": from_document(
                {"id": "c", "type": "staging", "inherits": ["p"], "properties": {"securityLevel": "RELAXED"}}
            ),
        }

    assert list(check_facts(child_of("STANDARD"), "c")) == []
    assert [issue.code for issue in check_facts(child_of("HIGH"), "c")] == ["security_relaxed"]


def test_instances_outside_the_scaling_policy_are_refused():
    """The policy may be inherited."""
    envs = {
        "p": from_document(
            {
                "id": "p",
                "type": "staging",
                "properties": {"scalingPolicy": {"minInstances": 1, "maxInstances": 3}},
            }
        ),
        "c": from_document(
            {"id": "c", "type": "staging", "inherits": ["p"], "services": {"s": {"instances": 4}}}
        ),
    }
    assert [issue.code for issue in check_facts(envs, "c")] == ["instances_out_of_range"]


def test_a_sealed_leaf_is_what_the_sealing_environment_resolves():
    """The issue names the layer that is in the way."""
    envs = {
        "p": from_document(
            {
                "id": "p",
                "type": "staging",
                "sealed": ["risk.**"],
                "overrides": {"configuration": {"risk": {"max": 1}}},
            }
        ),
        "c": from_document(
            {
                "id": "c",
                "type": "staging",
                "inherits": ["p"],
                "services": {"s": {"configuration": {"risk": {"max": 2}}}},
            }
        ),
    }
    assert list(broken_seals(envs, "c", [None])) == []
    (issue,) = broken_seals(envs, "c", [None, "s"])
    assert issue.code == "sealed"
    assert issue.key == "risk.max"
    assert "c/s" in issue.message


def document(base, services):
    return {"id": "e", "type": "testing", "overrides": {"configuration": base}, "services": services}


services = st.dictionaries(
    st.sampled_from(["s", "t"]),
    st.fixed_dictionaries({"configuration": our.layers}, optional={"instances": st.integers(0, 3)}),
    max_size=2,
)


@given(our.layers, services, our.layers, services)
def test_a_plan_turns_one_environment_into_the_other(base, ours, other_base, others):
    """`apply` arrives, and what has arrived needs no further plan."""
    current = from_document(document(base, ours))
    wanted = from_document(document(other_base, others))
    edits = [edits_from_json([edit_to_json(edit)])[0] for edit in plan(current, wanted)]
    after = apply_edits({"e": current}, edits).environments["e"]
    assert same(to_document(after), to_document(wanted))
    assert plan(after, wanted) == []


def test_every_fault_of_a_document_is_listed_at_once():
    """One round trip is enough to mend a file."""
    with pytest.raises(Invalid) as caught:
        from_document(
            {
                "id": "No",
                "type": "prod",
                "inherits": "global",
                "expires_at": "",
                "sealed": ["a..b"],
                "properties": {"cloud": "moon"},
                "services": {"s": {"instances": -1, "replicas": 2}},
                "extra": 1,
            }
        )
    assert {issue.code for issue in caught.value.issues} == {
        "bad_id",
        "bad_type",
        "bad_document",
        "blank_not_allowed",
        "bad_pattern",
        "bad_property",
        "unknown_member",
    }


def test_edits_are_checked_together_and_nothing_is_applied_by_halves():
    """The second edit fails, so the first has no effect either."""
    envs = {"e": from_document({"id": "e", "type": "testing"})}
    with pytest.raises(NotFound) as caught:
        apply_edits(envs, [ValueEdit("e", None, ("a",), "set", 1), ValueEdit("gone", None, ("a",), "set", 1)])
    assert caught.value.code == "unknown_environment"
    assert envs["e"].base == {}


def test_nothing_can_stand_below_what_the_same_layer_unsets():
    """Otherwise the siblings that were removed would come back unnoticed."""
    envs = {
        "e": from_document(
            {"id": "e", "type": "testing", "overrides": {"configuration": {"a": {"$unset": True}}}}
        )
    }
    with pytest.raises(Invalid) as caught:
        apply_edits(envs, [ValueEdit("e", None, ("a", "b"), "set", 1)])
    assert caught.value.code == "unset_above"


def test_deleting_the_last_member_prunes_the_object_above_it():
    """An empty object in a layer would hide what is inherited from a scalar."""
    envs = {
        "e": from_document({"id": "e", "type": "testing", "overrides": {"configuration": {"a": {"b": 1}}}})
    }
    after = apply_edits(envs, [ValueEdit("e", None, ("a", "b"), "delete")])
    assert after.environments["e"].base == {}


def test_a_layer_over_its_limit_is_refused():
    """100,000 leaves are the most that one layer holds."""
    full = {f"k{i}": i for i in range(100_000)}
    envs = {"e": from_document(document(full, {}))}
    edit = ValueEdit("e", None, ("one-more",), "set", 1)
    after = apply_edits(envs, [edit]).environments
    assert [issue.code for issue in check_structure(after, [edit])] == ["layer_too_many_leaves"]


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        ({"kind": "other"}, "bad_edit"),
        ({"kind": "value", "environment": "e", "key": "a", "operation": "set"}, "bad_edit"),
        ({"kind": "value", "environment": "e", "key": "a", "operation": "merge", "value": 1}, "bad_edit"),
        ({"kind": "value", "environment": "e", "key": "a", "operation": "delete", "value": 1}, "bad_edit"),
        ({"kind": "value", "environment": "E", "key": "a", "operation": "delete"}, "bad_id"),
        ({"kind": "value", "environment": "e", "key": "", "operation": "delete"}, "bad_key"),
        ({"kind": "value", "environment": "e", "key": "a", "operation": "delete", "x": 1}, "unknown_member"),
        ({"kind": "environment", "environment": "e", "operation": "create"}, "bad_edit"),
        ("text", "bad_edit"),
    ],
)
def test_an_edit_that_makes_no_sense_is_refused_with_its_rule(edit, code):
    """Before anything is looked up."""
    with pytest.raises(Invalid) as caught:
        edits_from_json([edit])
    assert code in {issue.code for issue in caught.value.issues}


def test_a_change_has_one_to_a_thousand_edits():
    """An empty change and one that nobody can review are both refused."""
    edit = {"kind": "value", "environment": "e", "key": "a", "operation": "set", "value": 1}
    for edits, code in (([], "no_edits"), ([edit] * 1_001, "too_many_edits"), ("x", "no_edits")):
        with pytest.raises(Invalid) as caught:
            edits_from_json(edits)
        assert caught.value.code == code


def test_a_later_parent_does_not_relax_a_stricter_one():
    """From HIGH on the security level of a parent is a floor, whichever parent is named last."""
    strict = Environment("strict", "s", "production", properties={"securityLevel": "CRITICAL"})
    lax = Environment("lax", "l", "development", properties={"securityLevel": "STANDARD"})
    child = Environment("child", "c", "production", inherits=("strict", "lax"))
    envs = {e.id: e for e in (strict, lax, child)}
    assert facts_of(envs, "child").properties["securityLevel"] == "CRITICAL"
    assert not list(check_facts(envs, "child"))


def test_below_high_the_level_is_inherited_like_everything_else():
    """Only HIGH and above are kept."""
    standard = Environment("standard", "s", "testing", properties={"securityLevel": "STANDARD"})
    child = Environment(
        "child", "c", "testing", inherits=("standard",), properties={"securityLevel": "RELAXED"}
    )
    envs = {e.id: e for e in (standard, child)}
    assert facts_of(envs, "child").properties["securityLevel"] == "RELAXED"
    assert not list(check_facts(envs, "child"))


@pytest.mark.parametrize("name", ["properties", "infrastructure"])
def test_facts_are_not_unset_as_a_whole(name):
    """A marker stands for a member of an object, never for the object that a document is made of."""
    with pytest.raises(Invalid) as caught:
        from_document({"id": "e", "type": "testing", name: {"$unset": True}})
    assert caught.value.code == "bad_unset"
