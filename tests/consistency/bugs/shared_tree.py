"""Reads hand out the nodes of the snapshot itself, and whoever changes one changes it for all."""

from __future__ import annotations

from tests.consistency.bugs import replace

PROMISE = 4


def seed() -> None:
    """Copy nothing."""
    from coreconfig.client import config

    replace(config, "plain", lambda node: node)
