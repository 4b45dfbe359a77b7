"""Tokens: who may do what once the first one exists."""

from __future__ import annotations

import pytest
from tests.acceptance.command_line import CommandLine


def test_the_first_token_ends_open_mode(trading: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Afterwards nothing is answered without one; CORECONFIG_TOKEN and --token both give it."""
    token = trading("token", "create", "me", "--role", "admin").out.strip()
    told = trading("env", "list", status=3).err
    assert "[not_authenticated]" in told
    assert "CORECONFIG_TOKEN" in told
    trading("env", "list", "--token", token)
    monkeypatch.setenv("CORECONFIG_TOKEN", token)
    trading("env", "list")


def test_a_token_is_shown_once_and_listed_without_its_secret(
    trading: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list names it; the secret is nowhere in it; once revoked it is worth nothing."""
    monkeypatch.setenv("CORECONFIG_TOKEN", trading("token", "create", "me", "--role", "admin").out.strip())
    made = trading("token", "create", "ci", "--role", "viewer", "--json").json
    listed = trading("token", "list").out
    assert made["id"] in listed
    assert made["token"] not in listed
    assert trading("env", "list", "--token", made["token"]).status == 0
    trading("token", "revoke", made["id"])
    assert trading("env", "list", "--token", made["token"], status=3).out == ""


def test_a_service_token_reads_its_own_view_alone(
    trading: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It neither sees another service nor writes."""
    monkeypatch.setenv("CORECONFIG_TOKEN", trading("token", "create", "me", "--role", "admin").out.strip())
    arguments = ("token", "create", "engine", "--service", "trading-engine", "--environment", "trading-demo")
    token = trading(*arguments).out.strip()
    engine = "trading-demo/trading-engine"
    assert trading("get", engine, "risk.maxPositionSize", "--token", token).out == "1000\n"
    assert trading("show", "trading-demo/data-bridge", "--token", token, status=1).out == ""
    assert trading("set", engine, "a.b", "1", "--token", token, status=3).out == ""
