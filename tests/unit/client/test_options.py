"""What a client may be told, and what it is told when that is wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.unit.client.states import options_of

from coreconfig.client.options import build_options, load_defaults, new_instance_id
from coreconfig.errors import Invalid
from coreconfig.model.keys import check_id


def codes(given: dict[str, Any], variables: dict[str, str] | None = None) -> set[str]:
    with pytest.raises(Invalid) as caught:
        build_options(given=given, variables=variables or {})
    return {issue.code for issue in caught.value.issues}


def test_arguments_win_over_variables_and_variables_over_defaults() -> None:
    """For each of the five that have a variable."""
    variables = {
        "CORECONFIG_SERVICE": "v-service",
        "CORECONFIG_ENVIRONMENT": "v-env",
        "CORECONFIG_URL": "https://v.example/",
        "CORECONFIG_TOKEN": "cc_v",
        "CORECONFIG_APP_VERSION": "9",
    }
    by_variables = build_options(given={}, variables=variables)
    assert (by_variables.service, by_variables.environment) == ("v-service", "v-env")
    assert (by_variables.url, by_variables.token) == ("https://v.example", "cc_v")
    assert by_variables.app_version == "9"
    given = {"service_id": "s", "environment": "e", "url": "http://h:1", "token": "cc_a", "app_version": "1"}
    by_arguments = build_options(given=given, variables=variables)
    assert (by_arguments.service, by_arguments.environment, by_arguments.url) == ("s", "e", "http://h:1")
    bare = options_of()
    assert (bare.url, bare.app_version, bare.token) == ("http://127.0.0.1:8400", "1.0.0", None)


def test_there_is_no_default_service_and_no_default_environment() -> None:
    """Both are named at once, each with its argument and its variable."""
    with pytest.raises(Invalid) as caught:
        build_options(given={}, variables={})
    text = str(caught.value)
    for word in ("service_id=", "CORECONFIG_SERVICE", "environment=", "CORECONFIG_ENVIRONMENT"):
        assert word in text
    assert {issue.code for issue in caught.value.issues} == {"missing_service", "missing_environment"}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"service_id": "Shop!"}, "bad_id"),
        ({"environment": "a/b"}, "bad_id"),
        ({"instance_id": "UPPER"}, "bad_id"),
        ({"url": "ftp://x"}, "bad_url"),
        ({"url": "localhost:8400"}, "bad_url"),
        ({"url": "http://me:secret@host"}, "bad_url"),
        ({"token": "with space"}, "bad_option"),
        ({"token": "line\nbreak"}, "bad_option"),
        ({"poll_interval": 0}, "bad_option"),
        ({"start_timeout": "soon"}, "bad_option"),
        ({"request_timeout": float("nan")}, "bad_option"),
        ({"env_allow": "APP_*"}, "bad_option"),
        ({"labels": {"a": 1}}, "bad_option"),
        ({"redis_url": "redis://x"}, "not_supported"),
        ({"cache_key": "k"}, "not_supported"),
        ({"snapshot_key": "k"}, "not_supported"),
        ({"defaults": {"__proto__": 1}}, "key_reserved"),
        ({"defaults": {"a": float("nan")}}, "number_not_finite"),
        ({"defaults": "/nowhere/at/all.json"}, "bad_defaults"),
    ],
)
def test_a_wrong_option_is_refused_by_name(wrong: dict[str, Any], code: str) -> None:
    """When the client is made, not when it is used."""
    assert code in codes({"service_id": "shop", "environment": "dev", **wrong})


def test_neither_token_nor_password_appears_in_any_text() -> None:
    """Options are logged and end up in tracebacks."""
    assert "cc_secret" not in repr(options_of(token="cc_secret"))
    with pytest.raises(Invalid) as caught:
        options_of(url="http://me:hunter2@host", token="cc secret")
    assert "hunter2" not in str(caught.value)
    assert "cc secret" not in str(caught.value)


def test_the_cache_lies_in_the_folder_of_the_user_unless_told_otherwise(tmp_path: Path) -> None:
    """None switches it off; a relative XDG_CACHE_HOME is ignored as its specification demands."""
    given = {"service_id": "s", "environment": "e"}
    by_xdg = build_options(given=given, variables={"XDG_CACHE_HOME": str(tmp_path)})
    assert by_xdg.cache_dir == tmp_path / "coreconfig"
    for variables in ({}, {"XDG_CACHE_HOME": "relative"}):
        assert (
            build_options(given=given, variables=variables).cache_dir == Path.home() / ".cache" / "coreconfig"
        )
    assert build_options(given={**given, "cache_dir": None}, variables={}).cache_dir is None
    assert build_options(given={**given, "cache_dir": tmp_path}, variables={}).cache_dir == tmp_path


@pytest.mark.parametrize(
    ("name", "text"), [("d.json", '{"a": {"b": 1}}'), ("d.yaml", "a:\n  b: 1\n"), ("d.yml", "a: {b: 1}")]
)
def test_defaults_may_lie_in_a_file(tmp_path: Path, name: str, text: str) -> None:
    """JSON or YAML, by its ending."""
    file = tmp_path / name
    file.write_text(text)
    assert load_defaults(file) == load_defaults(str(file)) == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("name", "text"), [("d.json", "[1]"), ("d.json", "{"), ("d.yaml", "- 1"), ("d.yaml", "a: !x 1")]
)
def test_a_bad_file_of_defaults_is_refused(tmp_path: Path, name: str, text: str) -> None:
    """With what is wrong in it."""
    (tmp_path / name).write_text(text)
    with pytest.raises(Invalid):
        load_defaults(tmp_path / name)


def test_defaults_are_the_clients_own() -> None:
    """A program that changes its mapping afterwards changes nothing."""
    mine = {"a": {"b": [1]}}
    options = options_of(defaults=mine)
    mine["a"]["b"].append(2)
    assert options.defaults == {"a": {"b": [1]}}


def test_an_instance_id_is_an_id_and_new_each_time() -> None:
    """Unique in the process and in the fleet, whatever the host is called."""
    for base in (None, "My_Host.example.com", "---", "ü", "x" * 200):
        ids = {check_id("instance", new_instance_id(base)) for _ in range(20)}
        assert len(ids) == 20
        assert all(str(os.getpid()) in one for one in ids)
