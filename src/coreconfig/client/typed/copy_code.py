"""Generates the one function that copies one value, statement by statement, and remembers it by its text.

The text holds numbered names and attribute names only, so that two values of the same shape share one
compiled function, and nothing of a value can become code. What the statements refer to is bound to each copy
of the function.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

Copier = Callable[[], Any]

_FULL = 150


class CopyCode:
    """The statements so far, and the objects that they refer to."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._bound: list[Any] = []

    @property
    def is_full(self) -> bool:
        """Whether more should go into a function of its own: compiling grows faster than it pays."""
        return len(self._lines) + len(self._bound) > _FULL

    def bind(self, thing: Any) -> str:
        """The name under which a statement finds the object."""
        self._bound.append(thing)
        return f"b{len(self._bound) - 1}"

    def put(self, statement: str) -> None:
        """Add a statement."""
        self._lines.append(statement)

    def assign(self, expression: str) -> str:
        """Add a statement that keeps what the expression gives, and return the name for it."""
        name = f"v{len(self._lines)}"
        self.put(f"{name} = {expression}")
        return name

    def function(self, result: str) -> Copier:
        """A function that runs the statements and returns what the expression `result` gives."""
        names = ", ".join(f"b{number}" for number in range(len(self._bound)))
        body = "\n        ".join([*self._lines, f"return {result}"])
        factory = _factory(f"def factory({names}):\n    def copy():\n        {body}\n    return copy")
        return factory(*self._bound)


@lru_cache(maxsize=512)
def _factory(text: str) -> Callable[..., Copier]:
    scope: dict[str, Any] = {}
    exec(text, scope)  # noqa: S102  # numbered names and checked identifiers only, see above
    return scope["factory"]  # type: ignore[no-any-return]  # the text defines it
