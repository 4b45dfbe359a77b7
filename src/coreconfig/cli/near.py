"""What a person may have meant who named something that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from coreconfig.cli.api import Api
from coreconfig.cli.targets import Target
from coreconfig.errors import CoreConfigError, KeyNotFound, NotFound
from coreconfig.model.keys import format_key, parse_key


def suggestion(api: Api, error: NotFound | KeyNotFound, arguments: Mapping[str, Any]) -> str | None:
    """The nearest names of the kind that was not found; asks the server, and gives up where it cannot."""
    targets = [one for one in arguments.values() if isinstance(one, Target)]
    try:
        if error.code == "unknown_environment":
            named = [one.environment for one in targets] + [str(arguments.get("environment") or "")]
            return _meant(named, (one["id"] for one in _environments(api)))
        if error.code == "unknown_service":
            return _meant([one.service or "" for one in targets], services(api))
        if error.code == "key_not_found" and targets:
            return _meant([str(arguments.get("key") or "")], _keys(api, targets[0]))
    except CoreConfigError:
        return None
    return None


def services(api: Api) -> list[str]:
    """Every service that some environment declares, as far as the caller may know of it."""
    return sorted({name for one in _environments(api) for name in one["services"]})


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """At most two of the known names, if they are near enough to be a slip."""
    return difflib.get_close_matches(name, list(known), n=2, cutoff=0.75)


def _meant(named: list[str], known: Iterable[str]) -> str | None:
    names = list(known)
    for name in named:
        if name and name not in names and (near := nearest(name, names)):
            return f"did you mean {' or '.join(near)}?"
    return None


def _environments(api: Api) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = api.get("/v1/environments").body["environments"]
    return listed


def _keys(api: Api, target: Target) -> list[str]:
    """Every key of a resolved configuration: its leaves, and the objects above them."""
    leaves = api.get(target.path("configuration"), at=target.at, flat="true").body["values"]
    paths = [parse_key(key) for key in leaves]
    return sorted({format_key(path[: i + 1]) for path in paths for i in range(len(path))})
