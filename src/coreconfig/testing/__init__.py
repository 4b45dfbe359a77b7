"""For tests of programs that use CoreConfig: a real server inside the test, and a fixture that brings it.

`InProcessServer` needs the extra ``server``; it is loaded when it is first named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coreconfig.testing.server import InProcessServer

__all__ = ["InProcessServer"]


def __getattr__(name: str) -> Any:
    if name == "InProcessServer":
        from coreconfig.testing.server import InProcessServer

        return InProcessServer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
