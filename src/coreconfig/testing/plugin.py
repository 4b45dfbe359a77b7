"""pytest fixtures: ``pytest_plugins = ["coreconfig.testing.plugin"]`` in a ``conftest.py``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from coreconfig.testing.server import InProcessServer


@pytest.fixture
def coreconfig_server() -> Iterator[InProcessServer]:
    """A server of this test's own: a free loopback port, an empty database, open mode."""
    with InProcessServer() as server:
        yield server
