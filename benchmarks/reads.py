"""What a read costs that a program makes on every request: against a look-up in a plain dict."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypedDict

import httpx2
import msgspec
from pydantic import BaseModel

from benchmarks.figures import Figure, compare, per_iteration
from coreconfig import CoreConfig
from coreconfig.testing.server import InProcessServer

CONFIGURATION = {
    "risk": {"maxPositionSize": 100000, "dailyLossLimit": 10000, "enabled": True, "currency": "EUR"},
    "ai": {
        "primary": {"model": "large", "temperature": 0.2, "timeoutSeconds": 30},
        "fallback": {"model": "small", "temperature": 0.7, "timeoutSeconds": 10},
        "order": ["primary", "fallback"],
    },
    **{f"group{i}": {f"key{j}": j for j in range(20)} for i in range(50)},
}


@dataclass(frozen=True)
class FrozenLimits:
    """What cannot be changed is shared between callers."""

    maxPositionSize: int  # noqa: N815  # the names of the configuration
    dailyLossLimit: int  # noqa: N815  # the same
    enabled: bool
    currency: str


@dataclass
class Limits:
    """What can be changed is handed out as an independent instance."""

    maxPositionSize: int  # noqa: N815  # the names of the configuration
    dailyLossLimit: int  # noqa: N815  # the same
    enabled: bool
    currency: str


class LimitsModel(BaseModel):
    """The same as a pydantic model."""

    maxPositionSize: int  # noqa: N815  # the names of the configuration
    dailyLossLimit: int  # noqa: N815  # the same
    enabled: bool
    currency: str


class LimitsStruct(msgspec.Struct):
    """The same as a Struct."""

    maxPositionSize: int  # noqa: N815  # the names of the configuration
    dailyLossLimit: int  # noqa: N815  # the same
    enabled: bool
    currency: str


class LimitsDict(TypedDict):
    """The same as a TypedDict."""

    maxPositionSize: int
    dailyLossLimit: int
    enabled: bool
    currency: str


class Provider(BaseModel):
    """A model inside of another one."""

    model: str
    temperature: float
    timeoutSeconds: int  # noqa: N815  # the names of the configuration


class Providers(BaseModel):
    """Models and a list inside of a model."""

    primary: Provider
    fallback: Provider
    order: list[str]


SCHEMA = {"type": "object", "required": ["maxPositionSize"], "properties": {"enabled": {"type": "boolean"}}}


def figures() -> Iterator[Figure]:
    """Reads of a client that is connected to a real server, metrics on."""
    with tempfile.TemporaryDirectory() as folder, InProcessServer() as server:
        document = {
            "id": "bench",
            "type": "development",
            "overrides": {"configuration": CONFIGURATION},
            "services": {"reader": {}},
        }
        httpx2.post(f"{server.url}/v1/environments", json=document).raise_for_status()
        with CoreConfig(service_id="reader", environment="bench", url=server.url, cache_dir=folder) as config:
            yield from _reads(config)


def _reads(config: CoreConfig) -> Iterator[Figure]:
    reference = per_iteration(
        "plain[key]", {"plain": config.get_all(flat=True), "key": "risk.maxPositionSize"}
    )
    names: dict[str, Any] = {"config": config, "key": "risk.maxPositionSize"}
    yield compare(
        "config.get(key) of a scalar, metrics on",
        per_iteration("config.get(key)", names),
        "dict look-up",
        reference,
        bound=4,
        rounds=15,
    )
    for what, key, target in (
        ("frozen dataclass", "risk", FrozenLimits),
        ("dataclass", "risk", Limits),
        ("Struct", "risk", LimitsStruct),
        ("TypedDict", "risk", LimitsDict),
        ("pydantic model", "risk", LimitsModel),
        ("nested pydantic model", "ai", Providers),
        ("JSON Schema", "risk", SCHEMA),
    ):
        yield compare(
            f"get_typed of an unchanged subtree, {what}",
            per_iteration("config.get_typed(key, target)", {"config": config, "key": key, "target": target}),
            "dict look-up",
            reference,
            bound=20,
            rounds=15,
        )
