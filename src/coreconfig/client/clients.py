"""CoreConfig and AsyncCoreConfig: life cycle and calls that wait, over one client and one link."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import weakref
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from coreconfig.client import admin
from coreconfig.client.admin import ChangeReceipt, Edit, Explanation, Scope
from coreconfig.client.client import Client
from coreconfig.client.dispatch import LoopQueue, Queue, ThreadQueue
from coreconfig.client.link import Link
from coreconfig.client.watch import ChangeStream
from coreconfig.errors import Unavailable

T = TypeVar("T")

__all__ = ["AsyncCoreConfig", "ChangeReceipt", "CoreConfig", "Explanation"]


class CoreConfig(Client):
    """The client for programs without an event loop; every method may be called from any thread.

    Callbacks run one after another on a thread of their own.
    """

    __slots__ = ()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> Self:
        """Connect, and return when there is something to read.

        That is: when what the server has is applied; with a last known good already at the first failure to
        connect, or after a second. Raises `NotReady` after `start_timeout` without either (unless
        ``required=False``), `ConfigValidationError` when a check refuses the only snapshot, and what the
        server says when it refuses this client.
        """
        _open.add(self)
        try:
            self._wait(lambda link: link.ready(self._place))
        except BaseException:
            self._halt()
            raise
        return self

    def close(self) -> None:
        """Say goodbye to the server and end the threads. What was read last stays readable."""
        _open.discard(self)
        self._shut()

    def reload(self) -> None:
        """Wait until what the server has now is read here.

        Raises `Unavailable` when the server cannot be reached, `ConfigValidationError` when a check
        refuses what it has.
        """
        self._wait(lambda link: link.reload())

    def explain(self, key: str) -> Explanation:
        """Why a key has its value: the server's answer, or what is known here. Raises `KeyNotFound`."""
        return self._wait(lambda link: admin.explain(link, self._options, self._state, key))

    def set(
        self,
        key: str,
        value: Any,
        *,
        reason: str | None = None,
        scope: Scope = "service",
        expected_revision: int | None = None,
    ) -> ChangeReceipt:
        """Write one key into this service's own layer, or with ``scope="environment"`` into the base layer.

        Afterwards reads here see it, if the change is live. Raises `Conflict` when the key was moved after
        `expected_revision`, and `Invalid`, `Denied`, `Unavailable` as the server says.
        """
        return self._write([Edit(key, "set", value)], reason, scope, expected_revision)

    def set_batch(
        self,
        values: Mapping[str, Any],
        *,
        reason: str | None = None,
        scope: Scope = "service",
        expected_revision: int | None = None,
    ) -> ChangeReceipt:
        """Write several keys as one change with one revision; otherwise as `set`."""
        return self._write(admin.edits_of(values), reason, scope, expected_revision)

    def merge(
        self,
        key: str,
        value: Mapping[str, Any],
        *,
        reason: str | None = None,
        scope: Scope = "service",
        expected_revision: int | None = None,
    ) -> ChangeReceipt:
        """Write the members of an object into what lies at the key, member by member; otherwise as `set`."""
        return self._write([Edit(key, "merge", value)], reason, scope, expected_revision)

    def unset(
        self,
        key: str,
        *,
        reason: str | None = None,
        scope: Scope = "service",
        expected_revision: int | None = None,
    ) -> ChangeReceipt:
        """Remove what is inherited at a key, so that nothing is there; otherwise as `set`."""
        return self._write([Edit(key, "unset")], reason, scope, expected_revision)

    def delete(
        self,
        key: str,
        *,
        reason: str | None = None,
        scope: Scope = "service",
        expected_revision: int | None = None,
    ) -> ChangeReceipt:
        """Take the layer's own value away, so that the inherited one counts again; otherwise as `set`."""
        return self._write([Edit(key, "delete")], reason, scope, expected_revision)

    def _write(
        self, edits: list[Edit], reason: str | None, scope: Scope, expected_revision: int | None
    ) -> ChangeReceipt:
        body = admin.change_request(
            self._options, edits, scope=scope, reason=reason, expected_revision=expected_revision
        )
        return self._wait(lambda link: admin.write(link, body))

    def _wait(self, work: Callable[[Link], Coroutine[Any, Any, T]]) -> T:
        future = self._submit(work)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise _closed_meanwhile() from None
        finally:
            future.cancel()

    def _new_queue(self) -> Queue:
        return ThreadQueue(f"coreconfig-callbacks-{self._options.service}")


class AsyncCoreConfig(Client):
    """The client for asynchronous programs. Reads are the same plain methods; callbacks run on the loop
    that called `start`, and may be coroutine functions."""

    __slots__ = ()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> Self:
        """As `CoreConfig.start`."""
        _open.add(self)
        try:
            await self._wait(lambda link: link.ready(self._place))
        except BaseException:
            await asyncio.to_thread(self._halt)
            raise
        return self

    async def close(self) -> None:
        """As `CoreConfig.close`; ends the streams of changes."""
        _open.discard(self)
        self._watches.close_streams()
        await asyncio.to_thread(self._shut)

    async def reload(self) -> None:
        """As `CoreConfig.reload`."""
        await self._wait(lambda link: link.reload())

    async def explain(self, key: str) -> Explanation:
        """As `CoreConfig.explain`."""
        return await self._wait(lambda link: admin.explain(link, self._options, self._state, key))

    def changes(self, patterns: str | Iterable[str]) -> ChangeStream:
        """The changes from now on that a pattern matches, for ``async for``, until `close`.

        A slow reader skips states between. Raises `Invalid` (``bad_pattern``).
        """
        self._current()
        return self._watches.stream(patterns)

    async def set(
        self,
        key: str,
        value: Any,
        *,
        reason: str | None = None,
        scope: Scope = "service",
        expected_revision: int | None = None,
    ) -> ChangeReceipt:
        """As `CoreConfig.set`."""
        return await self._write([Edit(key, "set", value)], reason, scope, expected_revision)

    async def set_batch(
        self,
        values: Mapping[str, Any],
        *,
        reason: str | None = None,
        scope: Scope = "service",
        expected_revision: int | None = None,
    ) -> ChangeReceipt:
        """As `CoreConfig.set_batch`."""
        return await self._write(admin.edits_of(values), reason, scope, expected_revision)

    async def merge(
        self,
        key: str,
        value: Mapping[str, Any],
        *,
        reason: str | None = None,
        scope: Scope = "service",
        expected_revision: int | None = None,
    ) -> ChangeReceipt:
        """As `CoreConfig.merge`."""
        return await self._write([Edit(key, "merge", value)], reason, scope, expected_revision)

    async def unset(
        self,
        key: str,
        *,
        reason: str | None = None,
        scope: Scope = "service",
        expected_revision: int | None = None,
    ) -> ChangeReceipt:
        """As `CoreConfig.unset`."""
        return await self._write([Edit(key, "unset")], reason, scope, expected_revision)

    async def delete(
        self,
        key: str,
        *,
        reason: str | None = None,
        scope: Scope = "service",
        expected_revision: int | None = None,
    ) -> ChangeReceipt:
        """As `CoreConfig.delete`."""
        return await self._write([Edit(key, "delete")], reason, scope, expected_revision)

    async def _write(
        self, edits: list[Edit], reason: str | None, scope: Scope, expected_revision: int | None
    ) -> ChangeReceipt:
        body = admin.change_request(
            self._options, edits, scope=scope, reason=reason, expected_revision=expected_revision
        )
        return await self._wait(lambda link: admin.write(link, body))

    async def _wait(self, work: Callable[[Link], Coroutine[Any, Any, T]]) -> T:
        self._attach()
        try:
            return await asyncio.wrap_future(self._submit(work))
        except asyncio.CancelledError:
            # either this task is cancelled, or the link ended while it worked for us
            task = asyncio.current_task()
            if self._closed and task is not None and not task.cancelling():
                raise _closed_meanwhile() from None
            raise

    def _new_queue(self) -> Queue:
        return LoopQueue()

    def _awaken(self) -> None:
        with suppress(
            RuntimeError
        ):  # a read outside of any loop: callbacks wait for the next call inside one
            self._attach()
        super()._awaken()

    def _attach(self) -> None:
        queue = self._queue
        if isinstance(queue, LoopQueue):
            queue.attach(asyncio.get_running_loop())


def _closed_meanwhile() -> Unavailable:
    return Unavailable("the client was closed meanwhile", code="closed")


_open: weakref.WeakSet[Client] = weakref.WeakSet()


def _close_all() -> None:
    """At the end of the process: say goodbye, so that the server does not take these instances for lost."""
    for client in list(_open):
        client._shut()


atexit.register(_close_all)
