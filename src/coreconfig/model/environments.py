"""Environments, what they inherit, and the rules that hold between a parent and its descendants.

`inherits` is an ordered list in which later parents win over earlier ones. Ancestors are linearised by C3,
Python's method resolution order (Barrett et al., OOPSLA 1996), over the reversed list, because there the
first base wins; so each ancestor counts once and a diamond loses no override.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from coreconfig.errors import Invalid, NotFound
from coreconfig.model.trees import Tree
from coreconfig.model.weights import Weight

EnvironmentType = Literal["development", "testing", "staging", "production", "disaster_recovery"]
TYPES: tuple[str, ...] = ("development", "testing", "staging", "production", "disaster_recovery")
CLOUDS: tuple[str, ...] = ("agnostic", "aws", "gcp", "azure", "on_premises")
SECURITY_LEVELS: tuple[str, ...] = ("RELAXED", "STANDARD", "HIGH", "CRITICAL")
"""From weakest to strongest."""
STATUSES: tuple[str, ...] = ("provisioning", "active", "degraded", "failed", "deleting", "deleted")


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """What an environment says of one service: its layer, and the facts beside it."""

    layer: Tree = field(default_factory=dict)
    weight: Weight = field(default=Weight(), compare=False)
    instances: int | None = None
    resources: Tree | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """A named set of layers with its parents; what it resolves to depends on them too."""

    id: str
    name: str
    type: str
    inherits: tuple[str, ...] = ()
    properties: Tree = field(default_factory=dict)
    base: Tree = field(default_factory=dict)
    services: Mapping[str, ServiceEntry] = field(default_factory=dict)
    infrastructure: Tree = field(default_factory=dict)
    sealed: tuple[str, ...] = ()
    local: tuple[str, ...] = ()
    expires_at: str = "never"
    status: str = "active"
    base_weight: Weight = field(default=Weight(), compare=False)

    def layer(self, service: str | None) -> Tree:
        """The base layer, or a service's layer (empty where it has none)."""
        if service is None:
            return self.base
        entry = self.services.get(service)
        return entry.layer if entry else {}

    def weight(self, service: str | None) -> Weight:
        """How heavy that layer is."""
        if service is None:
            return self.base_weight
        entry = self.services.get(service)
        return entry.weight if entry else Weight()


Environments = Mapping[str, Environment]


def environment_in(environments: Environments, environment: str) -> Environment:
    """The environment with this id. Raises `NotFound` (``unknown_environment``)."""
    found = environments.get(environment)
    if found is None:
        raise NotFound(f"there is no environment {environment!r}", code="unknown_environment")
    return found


MAX_ANCESTORS = 64
"""How many levels of parents there may be."""


def linearise(environments: Environments, environment: str) -> tuple[str, ...]:
    """The environment and all its ancestors, weakest first.

    Raises `Invalid` with the path that shows it: ``inherits_cycle``, ``inherits_unknown``, ``inherits_order``
    (two parents demand opposite orders), ``inherits_too_deep``; and `NotFound` for an unknown environment.
    """
    environment_in(environments, environment)
    return tuple(reversed(_mro(environments, environment, (), {})))


def _mro(
    environments: Environments, environment: str, trail: tuple[str, ...], known: dict[str, list[str]]
) -> list[str]:
    """Strongest first, as C3 orders it; `known` keeps what a diamond would ask for again."""
    if environment in known:
        return known[environment]
    here = (*trail, environment)
    _check_step(environments, here)
    parents = list(reversed(environments[environment].inherits))
    orders = [_mro(environments, parent, here, known) for parent in parents]
    known[environment] = [environment, *_merge([*orders, parents], environment)]
    return known[environment]


def _check_step(environments: Environments, here: tuple[str, ...]) -> None:
    *trail, environment = here
    path = " -> ".join(here)
    if environment in trail:
        raise Invalid(f"inheritance goes round in a circle: {path}", code="inherits_cycle")
    if environment not in environments:
        raise Invalid(no_such_parent(here), code="inherits_unknown")
    if len(here) > MAX_ANCESTORS:
        raise Invalid(f"more than {MAX_ANCESTORS} levels of parents: {path}", code="inherits_too_deep")


def no_such_parent(trail: Sequence[str]) -> str:
    """What is wrong with a path of parents whose last one is not there."""
    *_, child, parent = trail
    return f"{child!r} inherits from {parent!r}, which does not exist ({' -> '.join(trail)})"


def _merge(orders: Sequence[list[str]], environment: str) -> list[str]:
    merged: list[str] = []
    pending = [list(order) for order in orders if order]
    while pending:
        head = next((o[0] for o in pending if not any(o[0] in other[1:] for other in pending)), None)
        if head is None:
            demands = " against ".join(" < ".join(reversed(order)) for order in pending)
            raise Invalid(
                f"the parents of {environment!r} demand orders that exclude each other: {demands}",
                code="inherits_order",
            )
        merged.append(head)
        pending = [rest for o in pending if (rest := [name for name in o if name != head])]
    return merged


def children(environments: Environments, environment: str) -> set[str]:
    """The environments that name this one as a parent."""
    return {other.id for other in environments.values() if environment in other.inherits}


def descendants(environments: Environments, environment: str) -> set[str]:
    """The environment itself and everything that inherits from it."""
    found = {environment}
    waiting = [environment]
    while waiting:
        fresh = children(environments, waiting.pop()) - found
        found |= fresh
        waiting.extend(fresh)
    return found


def known_services(environments: Environments, environment: str) -> set[str]:
    """The services that the environment or one of its ancestors declares."""
    lineage = linearise(environments, environment)
    return {service for ancestor in lineage for service in environments[ancestor].services}


def stricter(level: str, than: str) -> bool:
    """Whether one security level is stronger than another."""
    return SECURITY_LEVELS.index(level) > SECURITY_LEVELS.index(than)


def strings_of(value: Any) -> list[str]:
    """The strings of a list, as ``complianceRequirements`` holds them; nothing for anything else."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def union_in_order(lists: Iterable[Iterable[str]]) -> list[str]:
    """Every item once, in the order of first appearance."""
    return list(dict.fromkeys(item for items in lists for item in items))
