"""CoreConfig: configuration that changes while services run.

The public names of the SDK. They are loaded when they are first used, so that `import coreconfig` costs
no more than Python itself and a program pays for the network only when it makes a client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coreconfig.client.clients import AsyncCoreConfig as AsyncCoreConfig
    from coreconfig.client.clients import CoreConfig as CoreConfig
    from coreconfig.client.watch import Change as Change
    from coreconfig.errors import ConfigValidationError as ConfigValidationError
    from coreconfig.errors import Conflict as Conflict
    from coreconfig.errors import CoreConfigError as CoreConfigError
    from coreconfig.errors import Denied as Denied
    from coreconfig.errors import Invalid as Invalid
    from coreconfig.errors import Issue as Issue
    from coreconfig.errors import KeyNotFound as KeyNotFound
    from coreconfig.errors import NotAuthenticated as NotAuthenticated
    from coreconfig.errors import NotFound as NotFound
    from coreconfig.errors import NotReady as NotReady
    from coreconfig.errors import PreconditionFailed as PreconditionFailed
    from coreconfig.errors import ProtocolError as ProtocolError
    from coreconfig.errors import StorageFull as StorageFull
    from coreconfig.errors import StoreIntegrity as StoreIntegrity
    from coreconfig.errors import TooLarge as TooLarge
    from coreconfig.errors import Unavailable as Unavailable

__version__ = "0.1.0"

_HOMES = {
    "AsyncCoreConfig": "coreconfig.client.clients",
    "CoreConfig": "coreconfig.client.clients",
    "Change": "coreconfig.client.watch",
    "ConfigValidationError": "coreconfig.errors",
    "Conflict": "coreconfig.errors",
    "CoreConfigError": "coreconfig.errors",
    "Denied": "coreconfig.errors",
    "Invalid": "coreconfig.errors",
    "Issue": "coreconfig.errors",
    "KeyNotFound": "coreconfig.errors",
    "NotAuthenticated": "coreconfig.errors",
    "NotFound": "coreconfig.errors",
    "NotReady": "coreconfig.errors",
    "PreconditionFailed": "coreconfig.errors",
    "ProtocolError": "coreconfig.errors",
    "StorageFull": "coreconfig.errors",
    "StoreIntegrity": "coreconfig.errors",
    "TooLarge": "coreconfig.errors",
    "Unavailable": "coreconfig.errors",
}

__all__ = [
    "AsyncCoreConfig",
    "Change",
    "ConfigValidationError",
    "Conflict",
    "CoreConfig",
    "CoreConfigError",
    "Denied",
    "Invalid",
    "Issue",
    "KeyNotFound",
    "NotAuthenticated",
    "NotFound",
    "NotReady",
    "PreconditionFailed",
    "ProtocolError",
    "StorageFull",
    "StoreIntegrity",
    "TooLarge",
    "Unavailable",
]


def __getattr__(name: str) -> object:
    """Load a public name from its home on first use and keep it (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'coreconfig' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted([*__all__, "__version__"])
