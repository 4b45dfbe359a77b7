"""Error class <-> HTTP status, and the error body, in one table."""

from __future__ import annotations

from typing import Any

from coreconfig import errors
from coreconfig.errors import CoreConfigError, Issue

# Most specific first: the first class that an error is an instance of gives its status.
STATUS: tuple[tuple[type[CoreConfigError], int], ...] = (
    (errors.TooLarge, 413),
    (errors.Invalid, 400),
    (errors.ConfigValidationError, 422),
    (errors.NotAuthenticated, 401),
    (errors.Denied, 403),
    (errors.KeyNotFound, 404),
    (errors.NotFound, 404),
    (errors.PreconditionFailed, 412),
    (errors.Conflict, 409),
    (errors.StorageFull, 507),
    (errors.StoreIntegrity, 503),
    (errors.Unavailable, 503),
    (errors.NotReady, 503),
)

_BY_STATUS: dict[int, type[CoreConfigError]] = {
    400: errors.Invalid,
    401: errors.NotAuthenticated,
    403: errors.Denied,
    404: errors.NotFound,
    405: errors.Invalid,
    409: errors.Conflict,
    412: errors.PreconditionFailed,
    413: errors.TooLarge,
    415: errors.Invalid,
    422: errors.ConfigValidationError,
    429: errors.Unavailable,
    503: errors.Unavailable,
    507: errors.StorageFull,
}


def status_of(error: CoreConfigError) -> int:
    """The HTTP status of an error; 500 for a class that has no business on the wire."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def body_of(error: CoreConfigError) -> dict[str, Any]:
    """The JSON body ``{"error": {...}}`` that every failed request is answered with."""
    body: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "issues": [
            {"code": i.code, "severity": i.severity, "key": i.key, "message": i.message} for i in error.issues
        ],
    }
    if error.revision is not None:
        body["revision"] = error.revision
    return {"error": body}


def error_from(status: int, body: Any, retry_after: float | None = None) -> CoreConfigError:
    """The error that a peer reported; anything that is not our own error body still gives one."""
    told = body.get("error") if isinstance(body, dict) else None
    if not isinstance(told, dict):
        kind = _BY_STATUS.get(status, errors.Unavailable if status >= 500 else errors.ProtocolError)
        return kind(f"the server answered with status {status}", retry_after=retry_after)
    code = str(told.get("code") or "error")
    kind = errors.KeyNotFound if code == "key_not_found" else _BY_STATUS.get(status, errors.Unavailable)
    revision = told.get("revision")
    return kind(
        str(told.get("message") or f"status {status}"),
        code=code,
        issues=[_issue_from(item) for item in told.get("issues") or [] if isinstance(item, dict)],
        revision=revision if isinstance(revision, int) else None,
        retry_after=retry_after,
    )


def _issue_from(item: dict[str, Any]) -> Issue:
    severity = item.get("severity")
    key = item.get("key")
    return Issue(
        code=str(item.get("code") or "error"),
        message=str(item.get("message") or ""),
        severity=severity if severity in ("CRITICAL", "HIGH", "MEDIUM", "LOW") else "HIGH",
        key=key if isinstance(key, str) else None,
    )
