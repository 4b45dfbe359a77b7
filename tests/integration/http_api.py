"""Shorthand for tests that talk HTTP with a real server."""

from __future__ import annotations

from typing import Any

import httpx2

from coreconfig.testing.server import InProcessServer


def client(server: InProcessServer, token: str | None = None) -> httpx2.Client:
    """A client of this server, with a token or, in open mode, without."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx2.Client(base_url=server.url, headers=headers, timeout=10)


def create(http: httpx2.Client, name: str, **members: Any) -> httpx2.Response:
    """Create an environment; what is not said is as small as it may be."""
    document = {"id": name, "type": "development", "name": name.title(), **members}
    answer = http.post("/v1/environments", json=document)
    assert answer.status_code == 201, answer.text
    return answer


def new_token(http: httpx2.Client, **grant: Any) -> str:
    """Create a token and give its text."""
    answer = http.post("/v1/tokens", json=grant)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


def code_of(answer: httpx2.Response) -> str:
    """The code of an error answer."""
    return str(answer.json()["error"]["code"])
