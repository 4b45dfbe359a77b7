"""What a type checker sees: checked by mypy, never run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict, assert_type

import msgspec
from pydantic import BaseModel

from coreconfig.client.config import Snapshot
from coreconfig.client.typed import TypedReads, convert


@dataclass
class Pool:
    size: int


class Options(TypedDict):
    port: int


class Record(msgspec.Struct):
    size: int


class Model(BaseModel):
    size: int


SCHEMA = {"type": "object"}


def conversions(value: Any) -> None:
    assert_type(convert(value, Pool, "k"), Pool)
    assert_type(convert(value, Options, "k"), Options)
    assert_type(convert(value, Record, "k"), Record)
    assert_type(convert(value, Model, "k"), Model)
    assert_type(convert(value, int, "k"), int)
    assert_type(convert(value, list[str], "k"), list[str])
    assert_type(convert(value, dict[str, Pool], "k"), dict[str, Pool])
    assert_type(convert(value, SCHEMA, "k"), Any)


def remembered(reads: TypedReads, node: Any) -> None:
    assert_type(reads.read({}, node, "k", Pool), Pool)
    assert_type(reads.read({}, node, "k", list[Record]), list[Record])
    assert_type(reads.read({}, node, "k", SCHEMA), Any)


def reads(config: Snapshot) -> None:
    assert_type(config.get_typed("k", Pool), Pool)
    assert_type(config.get_typed("k", Options), Options)
    assert_type(config.get_typed("k", Record), Record)
    assert_type(config.get_typed("k", Model), Model)
    assert_type(config.get_typed("k", int), int)
    assert_type(config.get_typed("k", int, 5), int)
    assert_type(config.get_typed("k", list[int]), list[int])
    assert_type(config.get_typed("k", SCHEMA), Any)


def sections(config: Snapshot) -> None:
    assert_type(config.get_section("k"), dict[str, Any])
    assert_type(config.get_section("k", Pool), Pool)
    assert_type(config.get_section("k", Model), Model)
    assert_type(config.get_section("k", SCHEMA), Any)


def refused(config: Snapshot) -> None:
    pool: Pool = config.get_typed("k", Model)  # type: ignore[assignment]  # the rule: a model is no pool
    config.get_section("k", Pool).missing  # type: ignore[attr-defined]  # noqa: B018  # the rule: Pool has no such member
    print(pool)  # noqa: T201  # a use
