"""A log in memory: worlds that advance by rows, without a database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from coreconfig.errors import NotFound
from coreconfig.model.edits import Edit, EnvironmentEdit, ValueEdit, edit_to_json
from coreconfig.model.keys import parse_key
from coreconfig.server.revisions.log import LogRow
from coreconfig.server.revisions.world import World

Follower = Callable[[World, World, LogRow], Any]


class MemoryLog:
    """Rows and the world after each of them; followers are told as a replica tells them."""

    def __init__(self) -> None:
        self.worlds = [World()]
        self.followers: list[Follower] = []

    @property
    def world(self) -> World:
        return self.worlds[-1]

    async def at(self, revision: int) -> World:
        if not 0 <= revision < len(self.worlds):
            raise NotFound(f"there is no revision {revision}", code="unknown_revision")
        return self.worlds[revision]

    async def fresh(self) -> World:
        return self.world

    async def catch_up(self, minimum: int | None = None) -> World:
        return self.world

    def commit(self, *edits: Edit, epoch: int | None = None) -> list[Any]:
        """Append a row with these edits; what the followers answer."""
        before = self.world
        row = LogRow(
            epoch=epoch or before.epoch,
            revision=before.revision + 1,
            kind="values",
            change_id=f"change-{before.revision + 1}",
            author="somebody",
            reason=None,
            committed_at="2026-01-01T00:00:00Z",
            edits=[edit_to_json(edit) for edit in edits],
            hash=f"{before.revision + 1:064x}",
            previous=before.hash,
        )
        after = replace(before.advanced(row))
        self.worlds.append(after)
        return [follower(before, after, row) for follower in self.followers]


def create(name: str, *, inherits: Sequence[str] = (), services: Any = None, **base: Any) -> Edit:
    """The edit that creates an environment with a base layer and services' layers."""
    document = {
        "id": name,
        "name": name,
        "type": "development",
        "inherits": list(inherits),
        "overrides": {"configuration": base},
        "services": {s: {"configuration": layer} for s, layer in (services or {}).items()},
    }
    return EnvironmentEdit(name, "create", document)


def put(environment: str, service: str | None, key: str, value: Any) -> Edit:
    """The edit that sets one key of one layer."""
    return ValueEdit(environment, service, parse_key(key), "set", value)


def unset(environment: str, service: str | None, key: str) -> Edit:
    """The edit that hides an inherited key."""
    return ValueEdit(environment, service, parse_key(key), "unset")


def remove(name: str) -> Edit:
    """The edit that deletes an environment."""
    return EnvironmentEdit(name, "delete", {})
