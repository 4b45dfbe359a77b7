"""What can be done, and to what: the words of decisions and of the audit."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from coreconfig.model.keys import Path, format_key


class Action(StrEnum):
    """One kind of operation; the value is what the audit stores."""

    READ_CONFIGURATION = "configuration.read"
    """Resolved values, their explanation and their history."""
    READ_ENVIRONMENT = "environment.read"
    """The document of an environment: all of its layers."""
    READ_LOG = "log.read"
    READ_FLEET = "fleet.read"
    READ_CHANGES = "change.read"
    PROPOSE = "change.propose"
    """Propose edits to a layer, and with that every write to configuration."""
    SHAPE_ENVIRONMENT = "environment.propose"
    """Propose to create, change or delete an environment itself."""
    CONNECT = "stream.connect"
    """Open the stream, or use its exchange, as an instance of a service."""
    ADMINISTER_TOKENS = "token.administer"
    BEGIN_EPOCH = "epoch.begin"
    """Have every client take what the server has, whatever it holds."""


@dataclass(frozen=True, slots=True)
class Target:
    """What an action is about; as much of it as the action has."""

    environment: str | None = None
    service: str | None = None
    path: Path = ()
    name: str = ""

    def __str__(self) -> str:
        """``environment/service:key``, as the audit stores it."""
        place = "/".join(part for part in (self.environment, self.service) if part)
        key = f":{format_key(self.path)}" if self.path else ""
        return f"{place}{key}" or self.name
