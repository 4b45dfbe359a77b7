"""The newest revision that this machine saw from each server, so that no later read goes back behind it."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """Where the command line keeps what it may lose: the user's cache folder (XDG_CACHE_HOME)."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "coreconfig"


class Remembered:
    """One small file for each server. A folder that cannot be written costs the promise, not the command."""

    def __init__(self, url: str, folder: Path | None = None) -> None:
        name = hashlib.sha256(url.encode()).hexdigest()[:24]
        self._file = (folder or cache_folder()) / "seen" / name
        self.revision = self._read()
        """The newest revision that was seen; None when nothing is known."""

    @property
    def seen_at(self) -> float | None:
        """When that was, in seconds since the epoch."""
        try:
            return self._file.stat().st_mtime
        except OSError:
            return None

    def saw(self, revision: int | None) -> None:
        """Keep the revision if it is the newest."""
        if revision is None or revision <= (self.revision or 0):
            return
        self.revision = revision
        try:
            self._write(revision)
        except OSError:
            # a read-only home is common in containers; the next command then asks without a minimum
            return

    def forget(self) -> None:
        """Begin anew: the server is another one than before."""
        self.revision = None
        self._file.unlink(missing_ok=True)

    def _read(self) -> int | None:
        try:
            return int(self._file.read_text("ascii"))
        except (OSError, ValueError):
            return None

    def _write(self, revision: int) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._file.parent)
        with os.fdopen(handle, "w") as file:
            file.write(str(revision))
        Path(name).replace(self._file)
