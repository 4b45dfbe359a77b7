"""A client of the stream that does nothing by itself, and writes over HTTP, for tests of a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from coreconfig.model.keys import parse_key
from coreconfig.model.trees import delete_at, plain, set_at
from coreconfig.wire.frames import SUBPROTOCOL

WITHIN = 5.0


class Server:
    """What tests ask of a running server: edits and reads over HTTP, streams."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.http = httpx2.AsyncClient(base_url=url, headers=self.headers, timeout=10.0)

    async def edit(self, *edits: dict[str, Any], **body: Any) -> int:
        """Commit edits as one change; its revision."""
        answer = await self.http.post("/v1/changes", json={"edits": list(edits), **body})
        assert answer.status_code == 200, answer.text
        return int(answer.json()["revision"])

    async def put(self, place: str, key: str, value: Any) -> int:
        """Set one key; `place` is an environment or environment/service."""
        return await self.edit(put(place, key, value))

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        """One read."""
        return await self.http.get(path, headers=headers)

    async def fleet(self) -> dict[str, Any]:
        """The connected instances by id."""
        listed = (await self.get("/v1/fleet")).json()["instances"]
        return {one["instance"]: one for one in listed}

    @asynccontextmanager
    async def stream(
        self, instance: str = "one", place: str = "demo/engine", **hello: Any
    ) -> AsyncIterator[Stream]:
        """A session that has said hello and been welcomed."""
        async with self.socket() as socket:
            stream = Stream(socket, instance, place)
            await stream.hello(**hello)
            stream.welcome = await stream.expect("welcome")
            yield stream

    def socket(self) -> connect:
        """A WebSocket before its hello."""
        url = self.url.replace("http", "ws", 1) + "/v1/stream"
        return connect(url, subprotocols=[SUBPROTOCOL], additional_headers=self.headers, close_timeout=1.0)

    async def sync(
        self, instance: str = "one", place: str = "demo/engine", **asked: Any
    ) -> list[dict[str, Any]]:
        """The frames of one poll."""
        hello = {**_identity(instance, place), **asked.pop("hello", {})}
        answer = await self.http.post("/v1/sync", json={"hello": hello, **asked})
        assert answer.status_code == 200, answer.text
        frames: list[dict[str, Any]] = answer.json()["frames"]
        return frames


class Stream:
    """One session: frames out, frames in, and the view that follows from them."""

    def __init__(self, socket: ClientConnection, instance: str, place: str) -> None:
        self.socket = socket
        self.instance, self.place = instance, place
        self.welcome: dict[str, Any] = {}
        self.at: dict[str, Any] | None = None
        self.values: Any = None

    async def send(self, kind: str, **members: Any) -> None:
        """Send one frame."""
        await self.socket.send(json.dumps({"type": kind, **members}))

    async def hello(self, **members: Any) -> None:
        """Say who this is."""
        await self.send("hello", **_identity(self.instance, self.place), **members)

    async def receive(self) -> dict[str, Any]:
        """The next frame, whatever it is."""
        async with asyncio.timeout(WITHIN):
            frame: dict[str, Any] = json.loads(await self.socket.recv())
            return frame

    async def expect(self, kind: str) -> dict[str, Any]:
        """The next frame, which has to be of this type; bookmarks that nobody asked for are passed over."""
        frame = await self.receive()
        while frame["type"] == "revision" != kind:
            self.at = frame["at"]
            frame = await self.receive()
        assert frame["type"] == kind, frame
        return frame

    async def silence(self, seconds: float) -> None:
        """Nothing but bookmarks comes for a while."""
        try:
            async with asyncio.timeout(seconds):
                while (frame := json.loads(await self.socket.recv()))["type"] == "revision":
                    self.at = frame["at"]
        except TimeoutError:
            return
        raise AssertionError(f"nothing should have come, but this did: {frame}")

    async def take(self, kind: str) -> dict[str, Any]:
        """The next frame, a push of this type, applied and acknowledged."""
        push = await self.expect(kind)
        self.apply(push)
        await self.ack(push)
        return push

    def apply(self, push: dict[str, Any]) -> None:
        """Hold what a push leads to."""
        if push["type"] == "snapshot":
            self.values = push["values"]
        else:
            assert push["from"] == self.at, "a difference starts from exactly what is held"
            tree = self.values
            for change in push["changes"]:
                path = parse_key(change["key"])
                if change["operation"] == "SET":
                    tree = set_at(tree, path, change["value"])
                else:
                    tree = delete_at(tree, path, prune=False)
            self.values = plain(tree)
        self.at = push["at"]

    async def ack(self, push: dict[str, Any], outcome: str = "applied", **members: Any) -> None:
        """Say what became of a push."""
        await self.send("ack", nonce=push["nonce"], at=push["at"], outcome=outcome, **members)

    async def closed(self) -> tuple[int, str, list[dict[str, Any]]]:
        """Wait for the end: close code, reason, and the frames that came before it."""
        frames = []
        async with asyncio.timeout(WITHIN):
            try:
                while True:
                    frames.append(json.loads(await self.socket.recv()))
            except ConnectionClosed as closed:
                received = closed.rcvd
        if received is None:
            raise AssertionError("the connection was dropped without a close")
        return received.code, received.reason, frames


def put(place: str, key: str, value: Any) -> dict[str, Any]:
    """The edit that sets one key of a layer."""
    environment, _, service = place.partition("/")
    return {
        "kind": "value",
        "environment": environment,
        "service": service or None,
        "key": key,
        "operation": "set",
        "value": value,
    }


def create(name: str, base: Any = None, services: Any = None, inherits: Any = ()) -> dict[str, Any]:
    """The edit that creates an environment."""
    document = {
        "id": name,
        "name": name,
        "type": "development",
        "inherits": list(inherits),
        "overrides": {"configuration": base or {}},
        "services": {service: {"configuration": layer} for service, layer in (services or {}).items()},
    }
    return {"kind": "environment", "environment": name, "operation": "create", "document": document}


def _identity(instance: str, place: str) -> dict[str, str]:
    environment, _, service = place.partition("/")
    return {"environment": environment, "service": service, "instance": instance}
