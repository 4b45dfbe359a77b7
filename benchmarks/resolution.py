"""What it costs to resolve a large view, and to bring it up to date after one change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

from benchmarks.figures import Figure, compare, timed
from coreconfig.model.documents import from_document
from coreconfig.model.edits import ValueEdit, apply_edits
from coreconfig.model.environments import Environment
from coreconfig.model.resolution import layers_of, resolve_with_origins
from coreconfig.model.snapshots import digest_of
from coreconfig.model.views import View, advance_view, build_view

LEVELS = 5
LARGE, SMALL = 100_000, 1_000


def layer_texts(leaves: int) -> list[str]:
    """The JSON of five layers that together resolve to `leaves` leaves; each level also overrides some."""
    layers: list[dict[str, Any]] = [{} for _ in range(LEVELS)]
    for number in range(leaves):
        group = f"group{number % 20}", f"part{number // 20 % 50}", f"key{number}"
        own = number % LEVELS
        _put(layers[own], group, _value(number))
        if number % 4 == 0:
            _put(layers[(own + 1) % LEVELS], group, _value(number + 1))
    return [json.dumps(layer) for layer in layers]


def _put(layer: dict[str, Any], path: tuple[str, str, str], value: Any) -> None:
    layer.setdefault(path[0], {}).setdefault(path[1], {})[path[2]] = value


def _value(number: int) -> Any:
    return (number, f"text {number}", number / 8, number % 2 == 0)[number % 4]


def lineage(texts: list[str]) -> dict[str, Environment]:
    """One environment for each layer, each inheriting from the one before."""
    return {
        f"level{level}": from_document(
            {
                "id": f"level{level}",
                "type": "development",
                "inherits": [f"level{level - 1}"] if level else [],
                "overrides": {"configuration": json.loads(text)},
            }
        )
        for level, text in enumerate(texts)
    }


class OneKeyChanges:
    """One key of a ready view set to a new value, again and again."""

    def __init__(self, environments: dict[str, Environment], view: View) -> None:
        self._environments = environments
        self._view = view
        self._values = count()

    def __call__(self) -> None:
        """Apply one edit to the world and bring the view up to date, with its digest and its difference."""
        edit = ValueEdit("level2", None, ("group2", "part7", "key142"), "set", next(self._values))
        applied = apply_edits(self._environments, [edit])
        self._environments = applied.environments
        self._view, changes = advance_view(self._view, applied.environments, applied.touches)
        if len(changes) != 1:
            raise RuntimeError(f"one change was expected, {len(changes)} were found")


def figures() -> Iterator[Figure]:
    """The whole resolution against parsing its input, and a change against the whole."""
    texts = layer_texts(LARGE)
    environments = lineage(texts)
    top = f"level{LEVELS - 1}"
    layers = layers_of(environments, top, None)
    whole = timed(lambda: digest_of(resolve_with_origins(layers)[0]))
    yield compare(
        "resolve 100,000 leaves over 5 levels, digest and provenance",
        whole,
        "json.loads of the layers",
        timed(lambda: [json.loads(text) for text in texts]),
        bound=8,
    )
    one_of_many = OneKeyChanges(environments, build_view(environments, top, None))
    change_many = timed(lambda: [one_of_many() for _ in range(100)])
    yield compare(
        "one-key change to a ready view of 100,000 leaves",
        lambda: change_many() / 100,
        "resolving the view",
        whole,
        bound=1 / 200,
    )
    few = lineage(layer_texts(SMALL))
    one_of_few = OneKeyChanges(few, build_view(few, top, None))
    change_few = timed(lambda: [one_of_few() for _ in range(100)])
    yield compare(
        "one-key change among 100,000 leaves",
        lambda: change_many() / 100,
        "the same among 1,000",
        lambda: change_few() / 100,
        bound=3,
    )
