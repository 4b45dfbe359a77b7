"""`restore`: a backup in the place of the database, as the beginning of a new epoch."""

from __future__ import annotations

from pathlib import Path

import click

from coreconfig.cli.host import on_the_host
from coreconfig.cli.output import Output


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--reason", metavar="TEXT", help="Why; kept in the history.")
@click.option("--epoch", type=click.IntRange(min=1), help="Begin this epoch instead of the next one.")
@click.option("--other-installation", is_flag=True, help="Even if FILE is of another installation.")
@on_the_host
def restore(
    url: str, out: Output, *, file: Path, reason: str | None, epoch: int | None, other_installation: bool
) -> None:
    """Put the backup FILE in the place of the database; the server has to be stopped.

    FILE is verified first and only read. What it holds becomes the first revision of a new epoch, greater
    than every epoch of FILE and of the database, so that all clients follow when the server starts. The
    replaced database is kept beside the new one. Tokens stay as they are now.
    """
    from coreconfig.server.recovery.restore import restore as put_back

    done = put_back(url, file, reason=reason, epoch=epoch, other_installation=other_installation)
    row, aside = done.row, str(done.aside) if done.aside else None
    if out.json:
        out.document({"epoch": row.epoch, "revision": row.revision, "replaced": aside})
        return
    taken = f"revision {done.backup.head.revision} of {file}"
    out.note(f"{taken} is now revision {row.revision}, the first of epoch {row.epoch}")
    out.note(
        f"the replaced database is kept as {aside}"
        if aside
        else "there was no database before: if clients have seen a greater epoch, /readyz counts them as"
        " clients_ahead once the server runs, and `coreconfig epoch new` has them follow"
    )
