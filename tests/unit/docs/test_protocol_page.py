"""The frames in the client specification and in `wire.frames` are the same; so are limits and glossary."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from coreconfig.model import environments, keys, references, values
from coreconfig.model.snapshots import digest_of, digest_text
from coreconfig.wire import frames

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "client-specification.md").read_text("utf-8")
LIMITS = (DOCS / "reference/limits.md").read_text("utf-8")

FRAMES = {
    kind.__struct_config__.tag: kind
    for kind in (*get_args(frames.ClientFrame), *get_args(frames.ServerFrame))
}


def members(kind: Any) -> list[str]:
    """The members as they are encoded, a question mark behind those that may be left out."""
    return [f"{field.encode_name}{'' if field.required else '?'}" for field in msgspec.structs.fields(kind)]


def documented() -> dict[str, list[str]]:
    section = PAGE.split("\n## 11. Frames\n")[1]
    rows = re.findall(r"^\| `(\w+)` \|([^|]*)\|$", section, re.MULTILINE)
    return {tag: re.findall(r"`(\w+\??)`", cell) for tag, cell in rows}


def test_every_frame_is_specified_with_its_members_and_no_other() -> None:
    """A client can be written from the page alone."""
    assert {tag: members(kind) for tag, kind in FRAMES.items()} == documented()


@pytest.mark.parametrize(
    ("kind", "spelt"),
    [
        (frames.At, "{epoch, revision, digest, overlay?}"),
        (frames.LeafChange, "{key, operation, value?}"),
        (frames.SyncRequest, "{hello, acks?, health?, usage?, revision?}"),
        (frames.SyncAnswer, "{frames}"),
    ],
)
def test_what_frames_are_made_of_is_specified(kind: Any, spelt: str) -> None:
    """The parts without a type of their own."""
    assert f"`{spelt}`" in PAGE
    assert f"{{{', '.join(members(kind))}}}" == spelt


def test_the_examples_of_digests_come_out() -> None:
    """The table that other implementations are tested against."""
    rows = re.findall(r"^\| `(\{.*?\})` \| `(\{.*?\})` \| `([0-9a-f]{32})` \|$", PAGE, re.MULTILINE)
    assert len(rows) >= 5
    for tree, secrets, digest in rows:
        assert digest_text(digest_of(msgspec.json.decode(tree), msgspec.json.decode(secrets))) == digest


@pytest.mark.parametrize(
    "said",
    [
        f"| {keys.MAX_KEY_BYTES} bytes, {keys.MAX_SEGMENTS} segments |",
        f"| {keys.MAX_SEGMENT_LENGTH} characters;",
        f"| depth of a value | {values.MAX_DEPTH} |",
        f"| a string | {values.MAX_STRING_BYTES // 1024} KiB |",
        f"| a value | {values.MAX_VALUE_BYTES // 2**20} MiB |",
        f"| a layer | {values.MAX_LAYER_LEAVES:,} leaves, {values.MAX_LAYER_BYTES // 2**20} MiB |",
        f"| a view | {values.MAX_VIEW_BYTES // 2**20} MiB |",
        f"| a change | {values.MAX_EDITS:,} edits |",
        f"| {references.MAX_REFERENCE_DEPTH} steps |",
        f"| levels of parents | {environments.MAX_ANCESTORS} |",
    ],
)
def test_limits_are_what_the_sources_say(said: str) -> None:
    """No limit is changed without its page."""
    assert said in LIMITS
