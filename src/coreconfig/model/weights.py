"""How heavy a layer is: kept in proportion to each edit, so that limits cost nothing to hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coreconfig.model.canonical import canonical, quote_string
from coreconfig.model.keys import Path
from coreconfig.model.references import refers_to_config
from coreconfig.model.trees import MISSING, Tree, get_at, is_object


@dataclass(frozen=True, slots=True)
class Weight:
    """Leaves, bytes of canonical JSON, and how many of the leaves hold a ``${config:...}``."""

    leaves: int = 0
    bytes: int = 0
    referring: int = 0

    def __add__(self, other: Weight) -> Weight:
        return Weight(self.leaves + other.leaves, self.bytes + other.bytes, self.referring + other.referring)

    def __sub__(self, other: Weight) -> Weight:
        return Weight(self.leaves - other.leaves, self.bytes - other.bytes, self.referring - other.referring)


def weigh(node: Any) -> Weight:
    """The weight of a node: additive over its members, so that a part can be exchanged."""
    if not (is_object(node) and node):
        return Weight(1, len(canonical(node).encode()), int(refers_to_config(node)))
    leaves = size = referring = 0
    for name, child in node.items():
        weight = weigh(child)
        leaves += weight.leaves
        size += weight.bytes + len(quote_string(name).encode()) + 2
        referring += weight.referring
    return Weight(leaves, size + 2, referring)


def weigh_layer(tree: Tree) -> Weight:
    """The weight of a whole layer; an empty one weighs nothing."""
    return weigh(tree) if tree else Weight()


def reweigh(weight: Weight, before: Tree, after: Tree, path: Path) -> Weight:
    """The weight of a layer after it changed at `path`, and nowhere beside or above it."""
    if not after or not before:
        return weigh_layer(after)
    return weight - _member_weight(before, path) + _member_weight(after, path)


def _member_weight(tree: Tree, path: Path) -> Weight:
    node = get_at(tree, path)
    if node is MISSING:
        return Weight()
    return weigh(node) + Weight(bytes=len(quote_string(path[-1]).encode()) + 2)
