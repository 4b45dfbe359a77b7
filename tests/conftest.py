"""What every test stands on: no settings of the person who runs it, and repeatable examples in CI."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from tests.postgres import postgres, postgres_url

__all__ = ["postgres", "postgres_url"]  # fixtures for every test

if TYPE_CHECKING:
    from coreconfig.testing.server import InProcessServer

# A slow machine is no bug, so no deadline. CI draws the same examples each time: a red run can be repeated.
hypothesis.settings.register_profile("developer", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") == "true" else "developer")


@pytest.fixture(autouse=True)
def no_personal_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tests see no CORECONFIG_* variable of the caller and keep caches in a folder of their own."""
    for name in list(os.environ):
        if name.startswith("CORECONFIG_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


PRODUCT = os.environ.get("CORECONFIG_TEST_DATABASE", "sqlite")
"""``postgresql`` runs whatever needs a server on that."""


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[InProcessServer]:
    """A real server of this test's own, in open mode, with an empty database."""
    from coreconfig.server.settings import Settings
    from coreconfig.testing.server import InProcessServer

    settings = None
    if PRODUCT == "postgresql":
        url = request.getfixturevalue("postgres_url")
        settings = Settings(database_url=url, port=0, shutdown_grace=2.0)
    with InProcessServer(settings) as running:
        yield running
