"""The last known good on disk: kept safe, and never trusted blindly."""

from __future__ import annotations

import json
import os
import stat
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.client.states import options_of, state_of

from coreconfig.client.cache import FORMAT, MAGIC, Cache
from coreconfig.client.options import Options
from coreconfig.client.state import Finish

VALUES: dict[str, Any] = {"risk": {"max": 1, "s": "${env:APP_SECRET}"}, "ü": [None, 1.5]}
OPTIONS = options_of(url="http://127.0.0.1:8400")


def written(folder: Path, options: Options = OPTIONS, revision: int = 7) -> Cache:
    """A cache with a file in it."""
    cache = Cache(folder, options)
    cache.save(state_of(VALUES, revision, Finish({"APP_SECRET": "hush"}, ("APP_*",), {"bundled": 1})))
    assert cache.problem is None
    return cache


def sealed(body: bytes, version: int = FORMAT) -> bytes:
    """A file with a right header."""
    return f"{MAGIC} {version} {sha256(body).hexdigest()} {len(body)}\n".encode() + body


def body_of(cache: Cache) -> dict[str, Any]:
    return json.loads(cache.path.read_bytes().split(b"\n", 1)[1])


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    """Position, values and where they came from."""
    cache = written(tmp_path)
    kept = cache.load()
    assert kept is not None
    assert kept.values == VALUES
    assert (kept.at.epoch, kept.at.revision) == (1, 7)
    assert kept.confirmed_at == pytest.approx(cache.path.stat().st_mtime)


def test_the_file_holds_references_and_neither_what_they_resolve_to_nor_defaults(tmp_path: Path) -> None:
    """No secret of a process gets to disk."""
    content = written(tmp_path).path.read_text()
    assert "${env:APP_SECRET}" in content
    assert "hush" not in content
    assert "bundled" not in content


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    """0600 in 0700, whatever the umask."""
    before = os.umask(0)
    try:
        cache = written(tmp_path / "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE(cache.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700


def test_nothing_but_the_file_is_left_behind(tmp_path: Path) -> None:
    """The temporary file has become the file."""
    cache = written(tmp_path)
    written(tmp_path, revision=8)
    assert [path.name for path in cache.folder.iterdir()] == ["current"]
    kept = cache.load()
    assert kept is not None
    assert kept.at.revision == 8


def test_no_file_is_no_problem(tmp_path: Path) -> None:
    """The first start on a host."""
    cache = Cache(tmp_path, OPTIONS)
    assert cache.load() is None
    assert cache.problem is None


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "cache_damaged"),
        (b"\x00\xff" * 400, "cache_damaged"),
        (b"something else\n{}", "cache_damaged"),
        (f"{MAGIC} 99 whatever comes then\n{{}}".encode(), "cache_format"),
        (f"{MAGIC} 1 0 2\n{{}}".encode(), "cache_damaged"),
        (sealed(b"[]"), "cache_damaged"),
        (sealed(b"{"), "not_json"),
        (sealed(b"\xff"), "not_utf8"),
        (sealed(b'{"url": 1, "url": 2}'), "duplicate_member"),
        (sealed(b"[" * 5000), "too_deep"),
    ],
)
def test_a_file_that_cannot_be_used_is_passed_over_and_reported_once(
    tmp_path: Path, content: bytes, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Never raised: a service starts without its cache."""
    cache = written(tmp_path)
    cache.path.write_bytes(content)
    assert cache.load() is None
    assert cache.load() is None
    assert cache.problem is not None
    assert cache.problem.code == code
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "other", [{"environment": "prod"}, {"service_id": "other"}, {"url": "http://127.0.0.1:9"}]
)
def test_the_file_of_another_server_environment_or_service_is_passed_over(
    tmp_path: Path, other: dict[str, str]
) -> None:
    """Even if somebody copied it into our place."""
    mine = Cache(tmp_path, OPTIONS)
    foreign = written(tmp_path, options_of(**{"url": OPTIONS.url, **other}))
    assert foreign.path != mine.path
    mine.folder.mkdir(parents=True)
    mine.path.write_bytes(foreign.path.read_bytes())
    assert mine.load() is None
    assert mine.problem is not None
    assert mine.problem.code == "cache_foreign"


def test_a_file_whose_content_has_another_digest_than_it_says_is_passed_over(tmp_path: Path) -> None:
    """A right checksum of wrong content helps nobody."""
    cache = written(tmp_path)
    body = body_of(cache)
    body["values"]["risk"]["max"] = 2
    cache.path.write_bytes(sealed(json.dumps(body).encode()))
    assert cache.load() is None


def test_members_that_a_later_version_added_are_ignored(tmp_path: Path) -> None:
    """Within one format."""
    cache = written(tmp_path)
    cache.path.write_bytes(sealed(json.dumps({**body_of(cache), "later": 1}).encode()))
    assert cache.load() is not None


@given(st.data())
def test_no_truncation_and_no_changed_byte_is_ever_taken_for_a_snapshot(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever a crash or a bad disk leaves."""
    cache = written(tmp_path_factory.mktemp("cache"))
    content = bytearray(cache.path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:at]
    else:
        content[at] ^= data.draw(st.integers(1, 255))
    cache.path.write_bytes(content)
    assert cache.load() is None


def test_a_folder_that_cannot_be_written_is_reported_and_not_raised(tmp_path: Path) -> None:
    """And the report goes away once it can."""
    (tmp_path / "taken").write_text("a file where the folder should be")
    cache = Cache(tmp_path / "taken", OPTIONS)
    cache.save(state_of(VALUES))
    assert cache.problem is not None
    assert cache.problem.code == "cache_not_written"
    assert cache.load() is None
    (tmp_path / "taken").unlink()
    cache.save(state_of(VALUES))
    assert cache.problem is None


def test_touching_notes_that_the_server_confirms_it(tmp_path: Path) -> None:
    """So that a service that ran for a month without a change does not call its cache a month old."""
    cache = written(tmp_path)
    os.utime(cache.path, (1, 1))
    cache.touch()
    kept = cache.load()
    assert kept is not None
    assert kept.confirmed_at > 1_000_000_000
    Cache(tmp_path / "none", OPTIONS).touch()
