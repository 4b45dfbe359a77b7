"""Large encodings share a room of their own."""

from __future__ import annotations

from coreconfig.server.delivery.kept import LARGE_BYTES, Encodings, Room

LARGE = b"x" * LARGE_BYTES


def test_the_oldest_large_encoding_gives_way_wherever_it_is_kept() -> None:
    """Hundreds of large views that were each read once must not add up."""
    room = Room(budget=2 * LARGE_BYTES)
    one, other = Encodings(room), Encodings(room)
    one["a"], other["a"] = LARGE, LARGE
    other["b"] = LARGE
    assert list(one) == []
    assert list(other) == ["a", "b"]
    assert room.used == 2 * LARGE_BYTES


def test_small_encodings_are_not_counted_and_stay() -> None:
    """They go with their view."""
    room = Room(budget=1)
    kept = Encodings(room)
    kept["small"], kept["large"] = b"x", LARGE
    kept["larger"] = LARGE + LARGE
    assert sorted(map(str, kept)) == ["larger", "small"]


def test_what_is_released_takes_no_room_also_later() -> None:
    """A compression that ends after its view has moved on counts for nothing."""
    room = Room()
    kept = Encodings(room)
    kept["a"] = LARGE
    kept.release()
    kept["late"] = LARGE
    assert room.used == 0


def test_replacing_an_encoding_counts_it_once() -> None:
    """The second under one name takes the place of the first."""
    room = Room()
    kept = Encodings(room)
    kept["a"] = LARGE
    kept["a"] = LARGE + LARGE
    assert room.used == 2 * LARGE_BYTES
