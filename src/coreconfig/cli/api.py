"""The one place of the command line that speaks HTTP."""

from __future__ import annotations

import ipaddress
import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2

from coreconfig import __version__
from coreconfig.cli.remembered import Remembered
from coreconfig.errors import CoreConfigError, Invalid, NotFound, ProtocolError, Unavailable
from coreconfig.wire.codes import error_from

TIMEOUT = 30.0
"""Seconds without an answer after which the server counts as unreachable."""
_ATTEMPTS = 3
_WAITING = 202
_MINIMUM = "X-CoreConfig-Min-Revision"


class Unreachable(Unavailable):
    """Nobody answers at the server's address."""

    default_code = "unreachable"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said; `body` is None when it said "not modified"."""

    status: int
    body: Any
    revision: int | None
    etag: str | None

    @property
    def waits(self) -> bool:
        """Whether a change waits for somebody's approval."""
        return self.status == _WAITING


class Api:
    """A connection to one server; failures are raised as the errors that the server reported."""

    def __init__(
        self, url: str, token: str | None = None, *, timeout: float = TIMEOUT, cache: Path | None = None
    ) -> None:
        self.url = _checked(url)
        self._remembered = Remembered(self.url, cache)
        headers = {"User-Agent": f"coreconfig-cli/{__version__}", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        # a proxy for the outside world has no business between this machine and itself
        self._http = httpx2.Client(
            base_url=self.url, headers=headers, timeout=timeout, trust_env=not _is_loopback(self.url)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, *, etag: str | None = None, **query: Any) -> Answer:
        """Read; never something older than what was seen from this server before."""
        headers = {"If-None-Match": etag} if etag else {}
        minimum = self._remembered.revision if query.get("at") is None else None
        if minimum is None:
            return self._send("GET", path, headers, None, query)
        try:
            return self._send("GET", path, {**headers, _MINIMUM: str(minimum)}, None, query)
        except Unavailable as error:
            if error.code != "behind" or not self._is_another_log():
                raise
        self._remembered.forget()
        return self._send("GET", path, headers, None, query)

    def _is_another_log(self) -> bool:
        """Whether a server that is "behind" has another log than the one whose revision is remembered.

        So it is when it holds nothing at all, or when its newest, lower revision was committed after the
        higher one had been seen: numbers only grow. A replica that merely lags shows neither.
        """
        newest = self._send("GET", "/v1/revisions", {}, None, {"limit": 1}).body["revisions"]
        if not newest:
            return True
        committed = datetime.fromisoformat(newest[0]["timestamp"]).timestamp()
        return self._remembered.seen_at is not None and committed > self._remembered.seen_at

    def find(self, path: str, code: str, **query: Any) -> Answer | None:
        """Read what may not exist: None when the server answers `NotFound` with this code."""
        try:
            return self.get(path, **query)
        except NotFound as error:
            if error.code == code:
                return None
            raise

    def write(self, method: str, path: str, body: Any = None, **query: Any) -> Answer:
        """Write once, also when the connection breaks and the request has to be sent again."""
        return self._send(method, path, {"Idempotency-Key": str(uuid.uuid4())}, body, query)

    def change(self, edits: list[dict[str, Any]], *, reason: str | None = None, **more: Any) -> Answer:
        """Propose a change of several edits; `dry_run` judges it and stores nothing."""
        query = {"dry_run": "true"} if more.pop("dry_run", False) else {}
        body = {"edits": edits, "reason": reason, "source": "cli", **more}
        said = {name: value for name, value in body.items() if value is not None}
        return self.write("POST", "/v1/changes", said, **query)

    def _send(
        self, method: str, path: str, headers: dict[str, str], body: Any, query: dict[str, Any]
    ) -> Answer:
        said = {name: value for name, value in query.items() if value is not None}
        content = None if body is None else json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        if content is not None:
            headers = {**headers, "Content-Type": "application/json"}
        response = self._attempt(method, path, headers=headers, content=content, params=said)
        return self._answer(response)

    def _attempt(self, method: str, path: str, **request: Any) -> httpx2.Response:
        """The response; a request that may have been lost is sent again, reads and writes alike are safe."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._http.request(method, path, **request)
            except (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError) as error:
                if attempt == _ATTEMPTS:
                    raise Unreachable(f"the connection to {self.url} broke: {error}") from error
            except httpx2.TimeoutException as error:
                raise Unreachable(f"{self.url} did not answer in time") from error
            except httpx2.TransportError as error:
                raise Unreachable(f"nobody answers at {self.url}: {error}") from error
        raise AssertionError("the last attempt returns or raises")

    def _answer(self, response: httpx2.Response) -> Answer:
        if response.status_code == httpx2.codes.NOT_MODIFIED:
            return Answer(
                response.status_code, None, _revision_of(response, None), response.headers.get("ETag")
            )
        body = _body_of(response)
        if response.is_error:
            raise error_from(response.status_code, body, _retry_after(response))
        revision = _revision_of(response, body)
        if "at" not in response.request.url.params:
            self._remembered.saw(revision)
        return Answer(response.status_code, body, revision, response.headers.get("ETag"))


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Invalid(f"{url!r} is not the address of a server; write http://HOST:PORT", code="bad_url")
    return url.rstrip("/")


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _body_of(response: httpx2.Response) -> Any:
    if response.status_code == httpx2.codes.NO_CONTENT:
        return None
    try:
        return response.json()
    except ValueError:
        if response.is_error:
            return None
        text = f"{response.url} answered with something that is not JSON; is it a CoreConfig server?"
        raise ProtocolError(text, code="not_coreconfig") from None


def _revision_of(response: httpx2.Response, body: Any) -> int | None:
    told = response.headers.get("X-CoreConfig-Revision")
    if told is None and isinstance(body, dict):
        told = body.get("revision")
    try:
        return None if told is None else int(told)
    except (TypeError, ValueError):
        return None


def _retry_after(response: httpx2.Response) -> float | None:
    try:
        return float(response.headers["Retry-After"])
    except (KeyError, ValueError):
        return None


__all__ = ["Answer", "Api", "CoreConfigError", "Unreachable"]
