r"""The last known good on disk, so that a service starts without its server.

One file for (server, environment, service)::

    <cache_dir>/<environment>.<service>.<hash of the url>/current
    coreconfig-cache 1 <SHA-256 of the body> <bytes of the body>\n
    {"url", "environment", "service", "installation", "at": {...}, "values": {...}, "secrets": {...}, ...}

``values`` is what the server sent, with references in place, so no secret and no variable of a process gets
into the file. Its modification time says when the server last confirmed it. A second generation will lie
beside ``current`` under another name.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import tempfile
import time
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

import msgspec

from coreconfig.client.options import Options
from coreconfig.client.state import State
from coreconfig.errors import CoreConfigError, Invalid, Issue
from coreconfig.model.snapshots import digest_of, digest_text
from coreconfig.model.trees import plain
from coreconfig.model.values import decode_json
from coreconfig.wire.frames import At

_log = logging.getLogger(__name__)

MAGIC = "coreconfig-cache"
FORMAT = 1
MAX_BYTES = 128 * 1024 * 1024
LEFT_BEHIND_AFTER = 3600.0
"""Seconds after which a temporary file belongs to nobody any more."""
_CURRENT = "current"
_NOT_WRITTEN = "cache_not_written"
_HEADER_BYTES = 200


@dataclass(frozen=True, slots=True)
class Kept:
    """What a cache file holds, checked; `confirmed_at` is in seconds since the epoch of Unix."""

    at: At
    values: dict[str, Any]
    secrets: dict[str, int]
    timestamp: str
    installation: str
    confirmed_at: float


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    """The file's JSON; other members are ignored."""

    url: str
    environment: str
    service: str
    at: At
    values: dict[str, Any]
    installation: str = ""
    secrets: dict[str, int] = {}
    timestamp: str = ""


class _Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Only what says how new a file is."""

    at: At
    installation: str = ""


class Cache:
    """One client's file. Nothing here raises for a bad file or a bad disk: it is reported and passed over."""

    def __init__(self, folder: Path, options: Options) -> None:
        self._options = options
        server = blake2b(options.url.encode(), digest_size=6).hexdigest()
        self.folder = folder / f"{options.environment}.{options.service}.{server}"
        self.problem: Issue | None = None

    @property
    def path(self) -> Path:
        """The file of the generation that was last applied."""
        return self.folder / _CURRENT

    @property
    def is_behind(self) -> bool:
        """Whether the last state could not be written."""
        return self.problem is not None and self.problem.code == _NOT_WRITTEN

    def load(self) -> Kept | None:
        """What the file holds; None where there is none that can be used."""
        self._clear_up()
        try:
            content = _read(self.path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._pass_over("cache_unreadable", error.strerror or str(error))
            return None
        try:
            return self._opened(content, self.path.stat().st_mtime)
        except CoreConfigError as error:
            self._pass_over(error.code, error.message)
        except (msgspec.MsgspecError, OSError, RecursionError) as error:
            self._pass_over("cache_damaged", str(error))
        return None

    def save(self, state: State) -> None:
        """Replace the file by this state, durably: temporary file, fsync, rename.

        Another process may share the file and be further on; then it stays.
        """
        if state.at is None:
            return
        try:
            if not self._is_newer(state.at, state.installation):
                self._write(self._closed(state, state.at))
        except OSError as error:
            self._report(_NOT_WRITTEN, f"the cache {self.path} cannot be written: {error.strerror}")
        else:
            self.problem = None

    def touch(self) -> None:
        """Note that the server confirms what the file holds."""
        try:
            os.utime(self.path)
        except OSError as error:
            _log.debug("the cache %s cannot be touched: %s", self.path, error.strerror)

    def _is_newer(self, at: At, installation: str) -> bool:
        """Whether the file is sound and holds a newer state of the same log."""
        try:
            there = msgspec.json.decode(_checked(_read(self.path)), type=_Standing)
        except (OSError, CoreConfigError, msgspec.MsgspecError, RecursionError):
            return False
        same_log = not installation or there.installation in ("", installation)
        return same_log and (there.at.epoch, there.at.revision) > (at.epoch, at.revision)

    def _clear_up(self) -> None:
        """Remove what processes left behind that were killed while they wrote."""
        try:
            for left in self.folder.glob(f".{_CURRENT}.*"):
                if time.time() - left.stat().st_mtime > LEFT_BEHIND_AFTER:
                    left.unlink()
        except OSError as error:
            _log.debug("the folder %s cannot be cleared up: %s", self.folder, error.strerror)

    def _opened(self, content: bytes, confirmed_at: float) -> Kept:
        """What the bytes mean. Raises `Invalid`: ``cache_damaged``, ``cache_format``, ``cache_foreign``."""
        body = msgspec.convert(decode_json(_checked(content), what="cache file"), _Body)
        mine = (self._options.url, self._options.environment, self._options.service)
        if (body.url, body.environment, body.service) != mine:
            raise Invalid("it belongs to another server, environment or service", code="cache_foreign")
        if digest_text(digest_of(body.values, body.secrets)) != body.at.digest:
            raise Invalid("its content has another digest than its position says", code="cache_damaged")
        return Kept(body.at, body.values, body.secrets, body.timestamp, body.installation, confirmed_at)

    def _closed(self, state: State, at: At) -> bytes:
        body = msgspec.json.encode(
            _Body(
                url=self._options.url,
                environment=self._options.environment,
                service=self._options.service,
                at=at,
                values=plain(state.raw),
                installation=state.installation,
                secrets=dict(state.secrets),
                timestamp=state.timestamp,
            )
        )
        return f"{MAGIC} {FORMAT} {sha256(body).hexdigest()} {len(body)}\n".encode() + body

    def _write(self, content: bytes) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        # mkstemp makes the file 0600 from the start, and with a name that no other process takes
        descriptor, temporary = tempfile.mkstemp(prefix=f".{_CURRENT}.", dir=self.folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self.path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _sync_folder(self.folder)

    def _pass_over(self, code: str, why: str) -> None:
        self._report(code, f"the cache {self.path} is passed over: {why}")

    def _report(self, code: str, text: str) -> None:
        if self.problem is None or self.problem.code != code:
            _log.warning("%s [%s]", text, code)
        self.problem = Issue(code, text, "MEDIUM")


def _read(path: Path) -> bytes:
    # without O_NONBLOCK a pipe under this name would be waited for
    with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        return file.read(MAX_BYTES + 1)


def _checked(content: bytes) -> bytes:
    """The body, if the header fits it."""
    header, newline, body = content[:_HEADER_BYTES].partition(b"\n")
    words = header.decode("ascii", "replace").split(" ")
    if not newline or words[0] != MAGIC or len(words) < 2:
        raise Invalid("it is no cache of CoreConfig, or was cut off", code="cache_damaged")
    if words[1] != str(FORMAT):
        raise Invalid(f"it has the format {words[1]!r}, this version reads {FORMAT}", code="cache_format")
    body = content[len(header) + 1 :]
    if len(words) != 4 or words[3] != str(len(body)) or words[2] != sha256(body).hexdigest():
        raise Invalid("it was cut off or changed", code="cache_damaged")
    return body


def _sync_folder(folder: Path) -> None:
    """Make the rename durable too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
