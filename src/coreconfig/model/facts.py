"""What an environment says about itself beside configuration, with what it inherits.

Properties, infrastructure, instances and resources inherit by the same step as configuration, except that
compliance requirements only grow and a security level is never relaxed below a parent that is HIGH or above.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from coreconfig.errors import Issue
from coreconfig.model.environments import (
    SECURITY_LEVELS,
    Environment,
    Environments,
    linearise,
    stricter,
    strings_of,
    union_in_order,
)
from coreconfig.model.resolution import fold
from coreconfig.model.trees import MISSING, Tree, get_at, set_at

_FROM_HERE_ON_KEPT = "HIGH"


@dataclass(frozen=True, slots=True)
class Facts:
    """The effective facts of an environment."""

    properties: Tree
    infrastructure: Tree
    services: dict[str, ServiceFacts]


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """How many instances of a service there should be, and what each of them gets."""

    instances: int | None
    resources: Tree


def facts_of(environments: Environments, environment: str) -> Facts:
    """The effective facts: its own over those of its ancestors."""
    lineage = [environments[name] for name in linearise(environments, environment)]
    properties = fold([e.properties for e in lineage])
    compliance = union_in_order(strings_of(e.properties.get("complianceRequirements")) for e in lineage)
    if compliance:
        properties = set_at(properties, ("complianceRequirements",), compliance)
    if level := _least_security(lineage, properties.get("securityLevel")):
        properties = set_at(properties, ("securityLevel",), level)
    return Facts(properties, fold([e.infrastructure for e in lineage]), _service_facts(lineage))


def _least_security(lineage: list[Environment], folded: Any) -> str | None:
    """The level that stands instead of the `folded` one: a later, laxer parent relaxes no stricter one."""
    levels = [level for e in lineage if (level := e.properties.get("securityLevel")) in SECURITY_LEVELS]
    strictest = max(levels, key=SECURITY_LEVELS.index, default=None)
    if strictest is None or stricter(_FROM_HERE_ON_KEPT, strictest) or folded == strictest:
        return None
    return str(strictest)


def _service_facts(lineage: list[Environment]) -> dict[str, ServiceFacts]:
    names = union_in_order(sorted(e.services) for e in lineage)
    return {name: _facts_of_service(lineage, name) for name in names}


def _facts_of_service(lineage: list[Environment], service: str) -> ServiceFacts:
    entries = [e.services[service] for e in lineage if service in e.services]
    counts = [entry.instances for entry in entries if entry.instances is not None]
    return ServiceFacts(counts[-1] if counts else None, fold([entry.resources or {} for entry in entries]))


def check_facts(environments: Environments, environment: str) -> Iterator[Issue]:
    """Where an environment's facts break a rule: ``security_relaxed``, ``instances_out_of_range``."""
    yield from _relaxed_security(environments, environment)
    facts = facts_of(environments, environment)
    for name, service in facts.services.items():
        yield from _instances_out_of_range(environment, name, service.instances, facts.properties)


def _relaxed_security(environments: Environments, environment: str) -> Iterator[Issue]:
    own = environments[environment].properties.get("securityLevel")
    if own not in SECURITY_LEVELS:
        return
    for ancestor in linearise(environments, environment)[:-1]:
        level = environments[ancestor].properties.get("securityLevel")
        if level in SECURITY_LEVELS and not stricter(_FROM_HERE_ON_KEPT, level) and stricter(level, own):
            text = f"the securityLevel {own} of {environment!r} is below {level} of its ancestor {ancestor!r}"
            yield Issue("security_relaxed", text, key="properties.securityLevel")


def _instances_out_of_range(
    environment: str, service: str, instances: int | None, properties: Tree
) -> Iterator[Issue]:
    if instances is None:
        return
    low = get_at(properties, ("scalingPolicy", "minInstances"))
    high = get_at(properties, ("scalingPolicy", "maxInstances"))
    if (_number(low) and instances < low) or (_number(high) and instances > high):
        bounds = f"{_text(low)} to {_text(high)}"
        where = f"{service!r} in {environment!r}"
        text = f"{instances} instances of {where} are outside its scalingPolicy ({bounds})"
        yield Issue("instances_out_of_range", text, key=f"services.{service}.instances")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(bound: Any) -> str:
    return "any" if bound is MISSING else str(bound)
