"""What every database has to do: the suite runs once for each product that CoreConfig can stand on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.postgres import new_database

from coreconfig.server.db.database import Database


@dataclass(frozen=True)
class Product:
    """A database product; `empty` gives the address of a new database, which goes away with its context."""

    name: str
    empty: Callable[[], AbstractContextManager[str]]


@contextmanager
def new_file() -> Iterator[str]:
    """The address of an SQLite file that does not exist yet."""
    with TemporaryDirectory(prefix="coreconfig-") as folder:
        yield f"sqlite:///{Path(folder) / 'store.db'}"


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def product(request: pytest.FixtureRequest) -> Product:
    """Each product in turn."""
    if request.param == "sqlite":
        return Product("sqlite", new_file)
    server = request.getfixturevalue("postgres")
    return Product("postgresql", lambda: new_database(server))


@pytest.fixture
def database_url(product: Product) -> Iterator[str]:
    """An empty database of each product."""
    with product.empty() as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An open one."""
    database = Database.open(database_url)
    yield database
    database.close()


@pytest.fixture(scope="module")
def shared(product: Product) -> Iterator[Database]:
    """One open database for the many examples of a module."""
    with product.empty() as url:
        database = Database.open(url)
        yield database
        database.close()
