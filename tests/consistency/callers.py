"""Programs that write and read over HTTP, and note what they asked for and what they were answered."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import count
from typing import Any, Literal
from urllib.parse import quote

import httpx2
from tests.consistency.history import Edit, Guard, History, Outcome, Read, Try

View = tuple[str, str | None]


class Caller:
    """One program. It has a name, of which the names of its writes are made, and servers that it knows."""

    def __init__(self, name: str, urls: Sequence[str], history: History, *, timeout: float = 5.0) -> None:
        self.name = name
        self.urls = list(urls)
        self.last_known = 0
        """The highest revision that it was answered with."""
        self._history = history
        self._numbers = count(1)
        self._http = httpx2.Client(timeout=timeout, trust_env=False)

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()

    def put(self, key: str, value: Any, *, view: View = ("child", None), **how: Any) -> Try:
        """Set one key by ``PUT``."""
        return self.write([Edit(*view, key, "set", value)], by="put", **how)

    def write(
        self,
        edits: Sequence[Edit],
        *,
        by: Literal["put", "changes"] = "changes",
        guard: Guard | None = None,
        tries: int = 1,
        at: int = 0,
        again: bool = False,
    ) -> Try:
        """Ask for a change, up to so many times with one idempotency key until an answer comes.

        With `again` it is sent once more although it was answered. Each try goes to the next server.
        """
        write = f"{self.name}-{next(self._numbers)}"
        number = 0
        while True:
            url = self.urls[(at + number) % len(self.urls)]
            last = self._try(write, tuple(edits), by, guard, url, keyed=tries > 1)
            self._history.note(last)
            self.last_known = max(self.last_known, last.revision or 0)
            number += 1
            if number >= tries or (last.outcome != "unknown" and not again):
                return last

    def read(self, view: View, *, minimum: int | None = None, at: int = 0) -> Read:
        """Read a whole configuration."""
        url = self.urls[at % len(self.urls)]
        headers = {} if minimum is None else {"X-CoreConfig-Min-Revision": str(minimum)}
        asked = time.monotonic()
        revision, content = None, None
        try:
            answer = self._http.get(f"{url}{_path(view)}", headers=headers)
            if answer.status_code == 200:
                revision, content = answer.json()["revision"], answer.json()["values"]
        except httpx2.TransportError:
            pass  # a read without an answer promises nothing
        read = Read(*view, asked, time.monotonic(), minimum, revision, content, url)
        self._history.note(read)
        self.last_known = max(self.last_known, revision or 0)
        return read

    def state_of(self, view: View, key: str, *, at: int = 0) -> Guard | None:
        """The state of a key as ``If-Match`` takes it; None where nothing lies there or nobody answers."""
        try:
            answer = self._http.get(f"{self.urls[at % len(self.urls)]}{_path(view)}/{quote(key)}")
        except httpx2.TransportError:
            return None
        if answer.status_code != 200:
            return None
        epoch, _, revision = answer.json()["etag"].partition("-")
        return Guard("if_match", *view, key, int(epoch), int(revision))

    def _try(
        self, write: str, edits: tuple[Edit, ...], by: str, guard: Guard | None, url: str, *, keyed: bool
    ) -> Try:
        headers = {"Idempotency-Key": f"key-of-{write}"} if keyed else {}
        asked = time.monotonic()
        try:
            answer = self._send(write, edits, by, guard, url, headers)
        except httpx2.TransportError as error:
            code = type(error).__name__
            return Try(write, edits, asked, time.monotonic(), "unknown", None, code, guard, url)
        answered = time.monotonic()
        if answer.is_success:
            return Try(write, edits, asked, answered, "done", answer.json()["revision"], None, guard, url)
        # what the server says of itself may come after a commit; what it says of the request may not
        outcome: Outcome = "refused" if answer.status_code < 500 else "unknown"
        return Try(write, edits, asked, answered, outcome, None, _code(answer), guard, url)

    def _send(
        self,
        write: str,
        edits: tuple[Edit, ...],
        by: str,
        guard: Guard | None,
        url: str,
        headers: dict[str, str],
    ) -> httpx2.Response:
        edit = edits[0]
        if guard is not None and guard.kind == "if_match":
            headers = {**headers, "If-Match": f'"{guard.epoch}-{guard.revision}"'}
        expected = {"expected_revision": guard.revision} if guard and guard.kind != "if_match" else {}
        if by == "put" and len(edits) == 1 and edit.operation == "set":
            path = f"{_path((edit.environment, edit.service))}/{quote(edit.key)}"
            body = {"value": edit.value, "reason": write, **expected}
            return self._http.put(url + path, json=body, headers=headers)
        body = {"edits": [_as_json(edit) for edit in edits], "reason": write, **expected}
        return self._http.post(f"{url}/v1/changes", json=body, headers=headers)


def _path(view: View) -> str:
    environment, service = view
    middle = f"/services/{service}" if service is not None else ""
    return f"/v1/environments/{environment}{middle}/configuration"


def _as_json(edit: Edit) -> dict[str, Any]:
    said = {
        "kind": "value",
        "environment": edit.environment,
        "service": edit.service,
        "key": edit.key,
        "operation": edit.operation,
    }
    return {**said, "value": edit.value} if edit.operation in ("set", "merge") else said


def _code(answer: httpx2.Response) -> str:
    try:
        return str(answer.json()["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return f"status_{answer.status_code}"
