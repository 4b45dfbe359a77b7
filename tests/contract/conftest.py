"""What every database has to do: the suite runs once for each product that CoreConfig can stand on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from coreconfig.server.db.database import Database


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each product."""
    assert request.param == "sqlite"
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An open one."""
    database = Database.open(database_url)
    yield database
    database.close()
