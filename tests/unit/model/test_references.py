"""References between keys, and to the environment of the process."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreconfig.model.references import (
    Reference,
    parse,
    referring_leaves,
    resolve_config,
    resolve_environment,
)


def nested(name, levels, leaf=1):
    for _ in range(levels):
        leaf = {name: leaf}
    return leaf


def resolved(tree):
    return resolve_config(tree, referring_leaves(tree))


@given(st.text(st.sampled_from("${}:configvaultenv.ab ")))
def test_the_parts_of_a_text_joined_are_the_text(text):
    """Parsing loses nothing."""
    assert "".join(str(part) for part in parse(text)) == text


def test_a_whole_reference_takes_the_type_of_its_target_and_a_spliced_one_its_text():
    """``"${config:port}"`` is a number, ``"http://x:${config:port}"`` a string."""
    tree, issues = resolved(
        {
            "port": 80,
            "same": "${config:port}",
            "url": "http://x:${config:port}/",
            "all": "${config:sub}",
            "sub": {"a": [1]},
        }
    )
    assert issues == []
    assert tree["same"] == 80
    assert tree["url"] == "http://x:80/"
    assert tree["all"] == {"a": [1]}


def test_references_inside_arrays_and_through_references_are_followed():
    """Chains of up to eight keys."""
    chain = {f"k{i}": f"${{config:k{i + 1}}}" for i in range(7)} | {"k7": "end", "list": ["${config:k0}"]}
    tree, issues = resolved(chain)
    assert issues == []
    assert tree["k0"] == "end"
    assert tree["list"] == ["end"]


def test_a_key_below_a_reference_is_referred_to_like_any_other():
    """What a reader finds at a key, a reference finds there too."""
    tree, issues = resolved(
        {"a": "${config:b.c.d}", "b": "${config:e}", "e": {"c": "${config:f}"}, "f": {"d": 1}}
    )
    assert issues == []
    assert tree["a"] == tree["b"]["c"]["d"] == 1


@given(st.lists(st.text(st.sampled_from("${}env:A"), max_size=4), min_size=1, max_size=3), st.text("${}A"))
def test_texts_that_stand_together_make_no_reference_that_nobody_wrote(texts, end):
    """What the process reads in the end is what each of the parts says by itself, one after the other."""

    def read(text):
        finished, _ = resolve_environment({"t": text}, {"A": "!"}, ["A"])
        return finished["t"]

    parts = [text for text in texts if not any(isinstance(p, Reference) for p in parse(text))]
    tree = {f"p{number}": text for number, text in enumerate(parts)}
    tree["all"] = "".join(f"${{config:p{number}}}" for number in range(len(parts))) + "|" + end
    if any(isinstance(part, Reference) for part in parse("|" + end)):
        return
    whole, issues = resolved(tree)
    assert issues == []
    assert read(whole["all"]) == "".join(map(read, parts)) + read("|" + end)


@pytest.mark.parametrize(
    ("tree", "code"),
    [
        ({"a": "${config:b}"}, "reference_dangling"),
        ({"a": "${config:a}"}, "reference_cycle"),
        ({"a": "${config:b}", "b": "x${config:a}"}, "reference_cycle"),
        ({"a": {"b": "${config:a}"}}, "reference_cycle"),
        ({f"k{i}": f"${{config:k{i + 1}}}" for i in range(12)} | {"k12": 1}, "reference_too_deep"),
        ({"a": "x${config:b}", "b": "${vault:s}"}, "reference_spliced"),
        ({"a": "x${config:b}", "b": "${config:c}", "c": "${vault:s}"}, "reference_spliced"),
        ({"a": "${config:b}${vault:s}", "b": "$"}, "reference_spliced"),
        ({"a": "${config:b.c.d}", "b": "${config:e}", "e": {"c": {}}}, "reference_dangling"),
        ({"a": "${config:b.c}", "b": "${config:a}"}, "reference_cycle"),
        ({"a": nested("n", 10, "${config:b}"), "b": nested("n", 22)}, "too_deep"),
        ({"a": nested("n" * 100, 3, "${config:b}"), "b": nested("n" * 100, 3)}, "key_too_long"),
        ({"a": "${config:not a key}"}, "bad_key"),
    ],
)
def test_a_reference_that_cannot_be_resolved_is_an_issue_and_keeps_its_text(tree, code):
    """The value does not silently become something else."""
    result, issues = resolved(tree)
    assert code in {issue.code for issue in issues}
    assert result["a" if "a" in tree else "k0"] == tree["a" if "a" in tree else "k0"]


def test_a_target_may_be_as_deep_as_a_value_that_is_written_there():
    """The limits are those of the place where it comes to stand."""
    _, issues = resolved({"a": "${config:b}", "b": nested("n", 31)})
    assert issues == []


def test_references_cannot_blow_a_view_up():
    """A few lines that double at each step stop at the limit instead of filling the memory."""
    tree = {"k8": "x" * 1000} | {f"k{i}": f"${{config:k{i + 1}}}" * 20 for i in range(8)}
    _, issues = resolved(tree)
    assert "string_too_long" in {issue.code for issue in issues}
    lists = {"k7": ["x"]} | {f"k{i}": [f"${{config:k{i + 1}}}"] * 20 for i in range(7)}
    _, issues = resolved(lists)
    assert "reference_budget" in {issue.code for issue in issues}


def test_only_allowed_names_of_the_environment_are_read():
    """A configuration must not be able to read what the process did not offer."""
    tree = {
        "a": "${env:APP_HOME}/x",
        "b": "${env:PATH}",
        "c": "${env:APP_NONE}",
        "d": "$${literal}",
        "e": "${vault:x}",
    }
    result, issues = resolve_environment(tree, {"APP_HOME": "/home", "PATH": "/bin"}, ["APP_*"])
    assert result == {
        "a": "/home/x",
        "b": "${env:PATH}",
        "c": "${env:APP_NONE}",
        "d": "${literal}",
        "e": "${vault:x}",
    }
    assert [(issue.code, issue.key) for issue in issues] == [("env_not_allowed", "b"), ("env_not_set", "c")]


def test_a_tree_without_references_is_returned_itself():
    """Nothing is copied where nothing has to be done."""
    tree = {"a": {"b": [1, "text"]}}
    assert resolve_environment(tree, {}, [])[0] is tree
