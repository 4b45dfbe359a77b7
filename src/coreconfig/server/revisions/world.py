"""The world at one revision: every environment, derived from the log alone. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from coreconfig.errors import CoreConfigError
from coreconfig.model.documents import environment_of, to_document
from coreconfig.model.edits import apply_edits, edit_from_json
from coreconfig.model.environments import Environment, Environments
from coreconfig.server.revisions.rows import GENESIS, LogRow, damaged


@dataclass(frozen=True, slots=True)
class World:
    """Every environment at one revision; what two worlds have in common they share."""

    epoch: int = 1
    revision: int = 0
    hash: str = GENESIS
    environments: Environments = field(default_factory=dict)

    def advanced(self, row: LogRow) -> World:
        """The world after the next row. Raises `StoreIntegrity` if it is another, or cannot be applied."""
        if row.revision != self.revision + 1 or row.previous != self.hash or row.epoch < self.epoch:
            raise damaged(row.revision, f"does not follow revision {self.revision}")
        try:
            applied = apply_edits(self.environments, [edit_from_json(edit) for edit in row.edits])
        except (CoreConfigError, LookupError, TypeError) as error:
            raise damaged(row.revision, f"cannot be applied to the one before it ({error})") from error
        return World(row.epoch, row.revision, row.hash, applied.environments)

    def to_json(self) -> dict[str, Any]:
        """The world as it is kept in a checkpoint."""
        return {
            "epoch": self.epoch,
            "revision": self.revision,
            "hash": self.hash,
            "environments": {
                name: {"document": to_document(one), "status": one.status}
                for name, one in self.environments.items()
            },
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> World:
        """The world that `to_json` described."""
        environments = {name: _environment(one) for name, one in said["environments"].items()}
        return cls(said["epoch"], said["revision"], said["hash"], environments)


def _environment(said: Mapping[str, Any]) -> Environment:
    return replace(environment_of(said["document"]), status=said["status"])
