"""Starts a server or an agent, with a bug seeded into it if `BUG` names one. No product code knows of it.

``python -m tests.consistency.launch serve …`` takes what ``coreconfig serve`` takes, ``… agent`` is `agent`.
"""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext

from tests.consistency import bugs

BUG = "CONSISTENCY_BUG"
SHARED = "CONSISTENCY_SHARED_FILE"
"""Two servers on one SQLite file, which is refused otherwise: replicas without a product that allows them."""


def main() -> int:
    """Seed the bug, then run what is asked for; its exit status."""
    kind, *arguments = sys.argv[1:]
    name = os.environ.get(BUG)
    if name:
        bugs.seed(name)
    if kind == "agent":
        from tests.consistency.agent import serve_commands

        return serve_commands(sys.stdin.buffer, sys.stdout.buffer)
    if os.environ.get(SHARED):
        _share_file()
    from coreconfig.cli.run import run

    return run([kind, *arguments])


def _share_file() -> None:
    from coreconfig.server.db.dialects.sqlite import SQLite

    bugs.replace(SQLite, "hold", lambda self: nullcontext())


if __name__ == "__main__":
    sys.exit(main())
