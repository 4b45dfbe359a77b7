"""What it costs to import the SDK and to ask the command for its version."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import PYTHON, Figure, compare, process


def figures() -> Iterator[Figure]:
    """Each as a whole process, against a Python that imports asyncio."""
    reference = process(PYTHON, "-c", "import asyncio")
    for name, command in (
        ("import coreconfig", (PYTHON, "-c", "import coreconfig")),
        ("coreconfig --version", (str(Path(PYTHON).with_name("coreconfig")), "--version")),
    ):
        yield compare(name, process(*command), 'python -c "import asyncio"', reference, bound=2.5, rounds=15)
