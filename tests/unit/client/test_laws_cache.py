"""Laws of the file with the last known good: whatever happened to it, it is right or passed over."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.disks import fill, small_disk_at
from tests.fakes.fake_clock import FakeClock
from tests.unit.client.states import options_of, state_of

from coreconfig.client.cache import LEFT_BEHIND_AFTER, Cache
from coreconfig.client.saving import TOUCH_EVERY, Saver
from coreconfig.client.state import State

OLD, NEW = {"a": 1, "text": "ü" * 100}, {"a": 2}


def cache_in(folder: Path) -> Cache:
    """The file of shop in dev."""
    return Cache(folder, options_of(cache_dir=str(folder)))


def of_installation(state: State, name: str) -> State:
    """The same state in another log."""
    return replace(state, installation=name)


@given(st.data())
def test_a_file_of_which_any_byte_was_changed_or_lost_is_passed_over(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """And why is reported; a service must not run on half a configuration."""
    cache = cache_in(tmp_path_factory.mktemp("cache"))
    cache.save(state_of(OLD))
    good = cache.path.read_bytes()
    place = data.draw(st.integers(0, len(good) - 1))
    bit = data.draw(st.integers(0, 7))
    changed = good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1 :]
    cache.path.write_bytes(data.draw(st.sampled_from([changed, good[:place], good + b" "])))
    assert cache.load() is None
    assert cache.problem is not None


def test_a_process_that_lags_behind_does_not_replace_what_another_one_wrote(tmp_path: Path) -> None:
    """The processes of a host share the file, and the next start is on the newest that any of them had."""
    ahead, behind = cache_in(tmp_path), cache_in(tmp_path)
    ahead.save(state_of(NEW, revision=7))
    behind.save(state_of(OLD, revision=6))
    kept = behind.load()
    assert kept is not None
    assert (kept.at.revision, kept.values, behind.problem) == (7, NEW, None)


def test_a_newer_file_is_replaced_if_it_is_of_another_log_or_damaged(tmp_path: Path) -> None:
    """Its number says nothing then."""
    cache = cache_in(tmp_path)
    cache.save(of_installation(state_of(OLD, revision=300), "one"))
    cache.save(of_installation(state_of(NEW, revision=2), "two"))
    assert (kept := cache.load())
    assert kept.values == NEW
    cache.path.write_bytes(cache.path.read_bytes()[:-1])
    cache.save(of_installation(state_of(OLD, revision=1), "two"))
    assert (kept := cache.load())
    assert kept.values == OLD


def test_a_pipe_in_place_of_the_file_is_not_waited_for(tmp_path: Path) -> None:
    """A start does not hang on what is no file."""
    cache = cache_in(tmp_path)
    cache.folder.mkdir(parents=True)
    os.mkfifo(cache.path)
    assert cache.load() is None
    assert cache.problem is not None
    assert cache.problem.code == "cache_unreadable"


def test_what_a_killed_process_left_behind_is_removed_once_it_is_old(tmp_path: Path) -> None:
    """A service that is killed again and again must not fill the disk."""
    cache = cache_in(tmp_path)
    cache.save(state_of(OLD))
    fresh, old = cache.folder / ".current.fresh", cache.folder / ".current.old"
    for left in (fresh, old):
        left.write_bytes(b"half")
    long_ago = time.time() - LEFT_BEHIND_AFTER - 60.0
    os.utime(old, (long_ago, long_ago))
    assert cache.load() is not None
    assert (fresh.exists(), old.exists()) == (True, False)


async def test_a_disk_that_was_full_gets_the_file_once_there_is_room_without_another_change(
    tmp_path: Path,
) -> None:
    """Reported meanwhile; the file that was there stays whole."""
    with small_disk_at(tmp_path / "disk", 1) as folder:
        cache, clock = cache_in(folder), FakeClock()
        saver = Saver(cache, clock)
        cache.save(state_of({"a": 1}))
        ballast = fill(folder)
        large = state_of({f"text{number}": "x" * 20_000 for number in range(10)}, revision=2)
        saver.save(large)
        await saver.finish()
        assert cache.is_behind
        assert (kept := cache_in(folder).load())
        assert kept.values == {"a": 1}
        assert list(cache.folder.iterdir()) == [cache.path]
        ballast.unlink()
        clock.advance(TOUCH_EVERY + 1.0)
        saver.confirmed()
        await saver.finish()
        assert cache.problem is None
        assert (kept := cache.load())
        assert kept.at.revision == 2
