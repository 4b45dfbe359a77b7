"""The public names of the SDK and what the documentation calls them."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from typing import get_args

import pytest

import coreconfig
from coreconfig import AsyncCoreConfig, Change, CoreConfig
from coreconfig.client import telemetry
from coreconfig.client.admin import ChangeReceipt, Explanation
from coreconfig.client.events import EventName
from coreconfig.client.health import HealthStatus
from coreconfig.client.store import Availability

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/reference/sdk.md").read_text("utf-8")
ERRORS = (ROOT / "docs/reference/errors.md").read_text("utf-8")

FOR_TESTS = {"clock", "random"}
"""Arguments that only tests give."""
KEPT_FOR_LATER = {"redis_url", "snapshot_key", "cache_key"}
AWAITED = {"start", "close", "reload", "explain", "set", "set_batch", "merge", "delete", "unset"}


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def rows(heading: str) -> set[str]:
    """The names in the first column of the tables below a heading."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def test_every_public_name_of_a_client_is_documented_and_no_other() -> None:
    """As `config.NAME`, somewhere on the page."""
    documented = set(re.findall(r"\bconfig\.([a-z_]+)\b", PAGE)) - {
        "cache",
        "update",
        "staleness",
        "retrieval",
    }
    documented -= {"default_used"}
    assert documented == public(CoreConfig) | public(AsyncCoreConfig)
    assert public(AsyncCoreConfig) - public(CoreConfig) == {"changes"}


def test_every_argument_of_a_client_is_documented_and_no_other() -> None:
    """In the table of arguments; those that are kept for later in words."""
    arguments = set(inspect.signature(CoreConfig.__init__).parameters) - {"self"} - FOR_TESTS
    assert rows("Making a client") == arguments - KEPT_FOR_LATER
    assert all(f"`{name}`" in PAGE for name in KEPT_FOR_LATER)


def test_what_is_awaited_is_said() -> None:
    """And nothing else is a coroutine."""
    awaited = {
        name
        for name in public(AsyncCoreConfig)
        if inspect.iscoroutinefunction(getattr(AsyncCoreConfig, name))
    }
    assert awaited == AWAITED
    sentence = re.search(r"^Awaited are (.*?)\.$", PAGE, re.MULTILINE | re.DOTALL)
    assert sentence is not None
    assert set(re.findall(r"`(\w+)`", sentence[1])) == AWAITED


def test_every_event_is_documented_and_no_other() -> None:
    """The names that `config.on` takes."""
    assert rows("Being told") == set(get_args(EventName))


@pytest.mark.parametrize("kind", [Change, ChangeReceipt, Explanation, HealthStatus])
def test_the_members_of_what_is_handed_out_are_named(kind: type) -> None:
    """So that nobody has to look into the sources."""
    for field in dataclasses.fields(kind):
        assert f"`{field.name}`" in PAGE, field.name


def test_every_availability_and_metric_is_named() -> None:
    """As programs and dashboards see them."""
    for name in (*Availability, *(name for name, *_ in (*telemetry._COUNTERS, *telemetry._GAUGES))):
        assert f"`{name}`" in PAGE, name


def test_what_the_package_offers_is_pinned() -> None:
    """Clients and `Change` here, every error on the page of errors."""
    offered = set(coreconfig.__all__)
    assert {"AsyncCoreConfig", "Change", "CoreConfig"} <= offered
    for name in offered:
        assert f"`{name}`" in PAGE + ERRORS, name
