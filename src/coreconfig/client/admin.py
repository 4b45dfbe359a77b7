"""Writes and explanations: how they are asked for and what comes back. Both clients use the same requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Literal, Protocol
from urllib.parse import quote as quote_url

import msgspec

from coreconfig.client.json_values import as_json
from coreconfig.client.options import Options
from coreconfig.client.state import State
from coreconfig.errors import Invalid, Issue, KeyNotFound, ProtocolError, Unavailable
from coreconfig.model.keys import Path, format_key, parse_key
from coreconfig.model.trees import MISSING, get_at, plain
from coreconfig.model.values import check_value
from coreconfig.wire.codes import error_from

Scope = Literal["service", "environment"]
Operation = Literal["set", "merge", "delete", "unset"]
OWN_WRITES_WITHIN = 2.0
"""Seconds that a write waits until its own revision is read here."""


class Requests(Protocol):
    """What is needed of the link."""

    async def post(self, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        """The answer to a POST."""
        ...

    async def get(self, path: str, headers: dict[str, str]) -> Any:
        """The JSON that a GET is answered with."""
        ...

    async def reach(self, revision: int, within: float) -> bool:
        """Wait until a revision is read here."""
        ...


@dataclass(frozen=True, slots=True)
class ChangeReceipt:
    """What became of a change: `state` is ``completed`` when it is live; `issues` are its warnings."""

    id: str
    state: str
    revision: int | None
    issues: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a key has its value.

    `layers` are the contributions, strongest first, each with environment, service, operation, value,
    revision, author and whether it is effective; None when the server could not be asked, and then only
    `value`, `source` and `revision` are known.
    """

    key: str
    value: Any
    source: str
    revision: int
    environment: str | None = None
    service: str | None = None
    author: str | None = None
    changed_at: int | None = None
    """The revision that gave the effective layer its value."""
    layers: tuple[Mapping[str, Any], ...] | None = None

    @property
    def layer(self) -> str | None:
        """The effective layer as ``environment`` or ``environment/service``."""
        if self.environment is None:
            return None
        return f"{self.environment}/{self.service}" if self.service else self.environment

    @property
    def overridden(self) -> tuple[Mapping[str, Any], ...]:
        """The contributions that another one covers."""
        return tuple(layer for layer in self.layers or () if not layer.get("effective"))


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit as the caller gave it; `value` is `MISSING` where there is none."""

    key: str
    operation: Operation
    value: Any = MISSING


def change_request(
    options: Options,
    edits: list[Edit],
    *,
    scope: Scope = "service",
    reason: str | None = None,
    expected_revision: int | None = None,
) -> bytes:
    """The body of ``POST /v1/changes``. Raises `Invalid` with every issue of every edit."""
    if scope not in ("service", "environment"):
        raise Invalid(f"scope is 'service' or 'environment', not {scope!r}", code="bad_option")
    issues: list[Issue] = []
    service = options.service if scope == "service" else None
    body: dict[str, Any] = {
        "edits": [_edit_json(edit, options.environment, service, issues) for edit in edits]
    }
    if issues:
        code = issues[0].code if len({issue.code for issue in issues}) == 1 else "invalid"
        raise Invalid("the change is not acceptable", code=code, issues=issues)
    if reason is not None:
        body["reason"] = reason
    if expected_revision is not None:
        body["expected_revision"] = expected_revision
    return msgspec.json.encode(body)


async def write(requests: Requests, body: bytes) -> ChangeReceipt:
    """Send a change, and wait until it is read here, if it is live already."""
    # one name for all tries of this write, so that a repeated one is not applied twice
    answer = await requests.post("/v1/changes", body, {"Idempotency-Key": token_hex(16)})
    receipt = _receipt(answer)
    if receipt.state == "completed" and receipt.revision is not None:
        await requests.reach(receipt.revision, OWN_WRITES_WITHIN)
    return receipt


async def explain(requests: Requests, options: Options, state: State, key: str) -> Explanation:
    """Why a key has its value, by the server; by what is read here when it cannot be reached.

    Raises `KeyNotFound`, and what the server reports.
    """
    path = parse_key(key)
    name = format_key(path)
    url = (
        f"/v1/environments/{options.environment}/services/{options.service}"
        f"/explain/{quote_url(name, safe='')}"
    )
    headers = {"X-CoreConfig-Min-Revision": str(state.revision)} if state.at else {}
    try:
        answer = await requests.get(url, headers)
    except Unavailable:
        return _explained_here(state, path)
    except KeyNotFound:
        # the server knows nothing of defaults that the program brought along
        if get_at(state.tree, path) is MISSING:
            raise
        return _explained_here(state, path, layers=())
    return _explanation(answer, state, path)


def _edit_json(edit: Edit, environment: str, service: str | None, issues: list[Issue]) -> dict[str, Any]:
    try:
        path = parse_key(edit.key)
    except Invalid as error:
        issues.append(Issue(error.code, error.message, key=str(edit.key)))
        return {}
    body = {
        "kind": "value",
        "environment": environment,
        "service": service,
        "key": format_key(path),
        "operation": edit.operation,
    }
    if edit.value is not MISSING:
        body["value"] = value = as_json(edit.value)
        issues += check_value(value, path)
    return body


def _receipt(content: bytes) -> ChangeReceipt:
    try:
        answer = msgspec.json.decode(content)
        # issues have the form that they have in errors, so the same reading serves
        issues = error_from(200, {"error": {"issues": answer.get("issues")}}).issues
        revision = answer.get("revision")
        return ChangeReceipt(str(answer["id"]), str(answer["state"]), revision, tuple(issues))
    except (msgspec.DecodeError, AttributeError, KeyError, TypeError):
        raise ProtocolError("the server's receipt is not what it should be") from None


def _explanation(answer: Any, state: State, path: Path) -> Explanation:
    try:
        layers = tuple(answer["contributions"])
        effective: Mapping[str, Any] = next((layer for layer in layers if layer.get("effective")), {})
    except (KeyError, TypeError, AttributeError):
        raise ProtocolError("the server's explanation is not what it should be") from None
    here = get_at(state.tree, path)
    return Explanation(
        key=format_key(path),
        value=answer["value"] if "value" in answer else (None if here is MISSING else plain(here)),
        source="service" if "value" in answer else "defaults",
        revision=answer.get("revision", state.revision),
        environment=effective.get("environment"),
        service=effective.get("service"),
        author=effective.get("author"),
        changed_at=effective.get("revision"),
        layers=layers,
    )


def _explained_here(state: State, path: Path, layers: tuple[Any, ...] | None = None) -> Explanation:
    node = get_at(state.tree, path)
    if node is MISSING:
        text = (
            f"nothing is at {format_key(path)!r} at revision {state.revision}, and the server cannot be asked"
        )
        raise KeyNotFound(text, revision=state.revision)
    source = "defaults" if get_at(state.finished, path) is MISSING else state.source
    return Explanation(format_key(path), plain(node), source, state.revision, layers=layers)


def edits_of(values: Mapping[str, Any]) -> list[Edit]:
    """One ``set`` for each key. Raises `Invalid` (``no_edits``) when there is none."""
    if not values:
        raise Invalid("there is nothing to set", code="no_edits")
    return [Edit(key, "set", value) for key, value in values.items()]
