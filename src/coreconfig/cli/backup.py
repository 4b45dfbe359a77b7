"""`backup`: the database in one verified file, also while a server runs on it."""

from __future__ import annotations

from pathlib import Path

import click

from coreconfig.cli.host import on_the_host
from coreconfig.cli.output import Output


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
@on_the_host
def backup(url: str, out: Output, *, file: Path, overwrite: bool) -> None:
    """Copy the database into FILE and check the copy.

    A server that runs goes on meanwhile. FILE holds one moment, and everything: configuration, its history,
    tokens, the audit. It appears when the copy is whole and every row of its log was verified.
    """
    from coreconfig.server.recovery.backup import backup as back_up

    verified = back_up(url, file, overwrite=overwrite)
    head, size = verified.head, file.stat().st_size
    if out.json:
        told = {"file": str(file), "bytes": size, "epoch": head.epoch, "revision": head.revision}
        out.document({**told, "kept_after": verified.floor, "installation": head.installation})
        return
    out.line(str(file))
    out.note(f"revision {head.revision} of epoch {head.epoch}, {size} bytes, every row verified")
