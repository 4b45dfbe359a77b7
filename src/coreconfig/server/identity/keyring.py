"""The tokens of this installation in memory, so that no request has to ask the database who is asking."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

from coreconfig.errors import CoreConfigError, NotAuthenticated
from coreconfig.server.access.caller import LOCAL, Caller
from coreconfig.server.identity.queries import Version, all_tokens, version_of
from coreconfig.server.identity.tokens import TokenRecord, is_secret_of
from coreconfig.server.logs import get_logger
from coreconfig.server.web.services import Transactions

log = get_logger("coreconfig.server.identity")

_UNKNOWN_HASH = "0" * 64
LOOK_SECONDS = 0.1
REFRESH_SECONDS = 0.5
"""Another process's revocation closes sockets here within a second."""

Ended = Callable[[str], None]


class Keyring:
    """Which tokens are valid, under the version at which they were read.

    This process's own creations and revocations are seen at once (`refresh` runs before they are answered),
    those of other processes within `REFRESH_SECONDS`. Without any token the installation is open.
    """

    def __init__(self, database: Transactions) -> None:
        self._database = database
        self._version: Version | None = None
        self._by_id: dict[str, tuple[TokenRecord, Caller]] = {}
        self._listeners: list[Ended] = []
        self._refreshing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._looked_at = 0.0
        self._next_look: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether no token was ever created; a revoked one counts, so revoking never opens the door."""
        return self._version is not None and not self._by_id

    def on_end(self, listener: Ended) -> None:
        """Call with the id of each token that ends, on the loop; `LOCAL` when open mode ends."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Read the tokens and go on looking for new ones."""
        await self.refresh()
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._next_look is not None:
            await self._next_look

    def authenticate(self, text: str) -> Caller:
        """Whose token this is. Raises `NotAuthenticated`, the same for unknown, wrong and revoked ones."""
        parts = text.split("_")
        record, caller = self._by_id.get(parts[1] if len(parts) == 3 else "", (None, None))
        is_right = is_secret_of(text, record.secret_hash if record else _UNKNOWN_HASH)
        if record is None or caller is None or not is_right or record.revoked_at is not None:
            told = "this token is not valid: it is unknown, mistyped or revoked"
            raise NotAuthenticated(told, code="bad_token")
        return caller

    async def look_again(self) -> None:
        """Read the store out of turn. All who ask share a look, at most ten times a second."""
        if self._next_look is None:
            self._next_look = asyncio.create_task(self._look_in_time(), name="keyring-look")
        await asyncio.shield(self._next_look)

    async def _look_in_time(self) -> None:
        await asyncio.sleep(max(0.0, self._looked_at + LOOK_SECONDS - monotonic()))
        self._next_look = None  # who asks from here on needs to see what is created later
        self._looked_at = monotonic()
        try:
            await self.refresh()
        except CoreConfigError as error:
            log.warning("tokens could not be read, the known ones stay valid", code=error.code)

    async def refresh(self) -> None:
        """Bring the memory up to the store, and tell listeners what ended."""
        async with self._refreshing:
            if await self._database.reading(version_of) != self._version:
                version, records = await self._database.reading(_snapshot)
                self._take(version, records)

    def _take(self, version: Version, records: Iterable[TokenRecord]) -> None:
        was_open, before = self.is_open, self._by_id
        self._by_id = {record.id: (record, record.caller()) for record in records}
        self._version = version
        ended = [
            public
            for public, (record, _) in self._by_id.items()
            if record.revoked_at is not None and public in before and before[public][0].revoked_at is None
        ]
        if was_open and self._by_id:
            ended.append(LOCAL)
        for public in ended:
            self._tell(public)

    def _tell(self, public: str) -> None:
        log.info("token ended", token=public)
        for listener in self._listeners:
            listener(public)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self.refresh()
            except CoreConfigError as error:
                log.warning("tokens could not be read, the known ones stay valid", code=error.code)
            except Exception:  # a loop that ended here would let revoked tokens live on
                log.exception("tokens could not be read, the known ones stay valid")


def _snapshot(tx: Any) -> tuple[Version, list[TokenRecord]]:
    return version_of(tx), all_tokens(tx)
