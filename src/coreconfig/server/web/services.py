"""What a route may ask of the process that it runs in, as protocols.

The composition root (`coreconfig.server.app`) builds one frozen object with everything in it and hangs it on
the application. Routes see the part of it that their layer may know: this one, or a protocol of their own
with more members.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar, cast

from starlette.requests import HTTPConnection

from coreconfig.model.environments import Environments
from coreconfig.server.settings import Settings

T = TypeVar("T")


class WorldAt(Protocol):
    """All environments at one revision."""

    @property
    def epoch(self) -> int:
        """The epoch that the revision belongs to."""

    @property
    def revision(self) -> int:
        """How many log rows lie behind this state."""

    @property
    def environments(self) -> Environments:
        """Every environment, by id."""


class Worlds(Protocol):
    """Where worlds come from: the replica of the log that this process holds."""

    @property
    def world(self) -> WorldAt:
        """The newest world that this process knows; asks nobody."""

    def fresh(self) -> Awaitable[WorldAt]:
        """The world, after a look at the log if this process stood still and may have missed something."""

    def catch_up(self, minimum: int | None = None, timeout: float = 2.0) -> Awaitable[WorldAt]:
        """The world at `minimum` or later (None: at the head). Raises `Unavailable` (``behind``)."""

    def at(self, revision: int) -> Awaitable[WorldAt]:
        """The world at exactly this revision. Raises `NotFound` for one that is not kept."""


class Transactions(Protocol):
    """Database work from the event loop; the function runs in a thread, in one transaction."""

    def reading(self, fn: Callable[[Any], T]) -> Awaitable[T]:
        """The result of `fn`, given a read transaction."""

    def writing(self, fn: Callable[[Any], T]) -> Awaitable[T]:
        """The result of `fn`, given the one write transaction; durable when this returns."""


class Services(Protocol):
    """The part of the composition that every layer of routes may use."""

    @property
    def settings(self) -> Settings:
        """The server's own settings."""

    @property
    def database(self) -> Transactions:
        """The store."""

    @property
    def replica(self) -> Worlds:
        """The worlds."""


def services_of(connection: HTTPConnection) -> Services:
    """The services of the application that this request or WebSocket reached."""
    return cast("Services", connection.app.state.services)
