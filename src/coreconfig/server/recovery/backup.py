"""Backups of an SQLite database: taken while a server runs, and kept only if they can be trusted."""

from __future__ import annotations

import os
from pathlib import Path
from secrets import token_hex

from coreconfig.errors import Conflict, Invalid
from coreconfig.server.db.dialects.sqlite_file import file_of, sync_folder
from coreconfig.server.recovery.verify import Verified, verify_file


def backup(url: str, target: Path, *, overwrite: bool = False) -> Verified:
    """Copy the database into a new file and verify the copy: pages, schema, every row of the log.

    `target` appears once the copy is whole and verified, or not at all.

    Raises `NotFound` (``no_database``), `Conflict` (``backup_exists``), `Invalid` (``bad_backup_file``,
    ``backup_not_supported``), `StoreIntegrity` for a database that is damaged, and `StorageFull`.
    """
    source, target = file_of(url), target.absolute()
    _demand_place(source.path, target, overwrite=overwrite)
    temporary = target.with_name(f".{target.name}.{token_hex(4)}")
    try:
        source.copy_to(temporary)
        verified = verify_file(temporary)
        _place(temporary, target, overwrite=overwrite)
    finally:
        temporary.unlink(missing_ok=True)
    return verified


def _demand_place(source: Path, target: Path, *, overwrite: bool) -> None:
    if not target.parent.is_dir():
        raise Invalid(f"the folder {target.parent} does not exist", code="bad_backup_file")
    if target.is_dir() or target.resolve() == source:
        raise Invalid(f"{target} cannot be the backup; name another file", code="bad_backup_file")
    if target.exists() and not overwrite:
        raise _exists(target)


def _place(made: Path, target: Path, *, overwrite: bool) -> None:
    """Give the file its name; a link is refused where a rename would replace what came there meanwhile."""
    if overwrite:
        made.replace(target)
    else:
        try:
            os.link(made, target)
        except FileExistsError:
            raise _exists(target) from None
    sync_folder(target.parent)


def _exists(target: Path) -> Conflict:
    return Conflict(
        f"{target} exists already; name another file, or say --overwrite to replace it", code="backup_exists"
    )
