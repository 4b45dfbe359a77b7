"""`compact`: room for new revisions."""

from __future__ import annotations

import click

from coreconfig.cli.host import on_the_host
from coreconfig.cli.output import Output


@click.command()
@click.option(
    "--before", type=click.IntRange(min=1), metavar="REVISION", help="Keep REVISION and newer ones."
)
@click.option("--keep-days", type=click.IntRange(min=0), help="Keep what is younger; else 400 days.")
@on_the_host
def compact(url: str, out: Output, *, before: int | None, keep_days: int | None) -> None:
    """Drop old revisions from the log; a server may run meanwhile.

    With both options only what both give away. What is needed stays, and the state that the oldest kept
    revision begins from; ETags stay what they are. Asked about a dropped revision, a server answers
    `revision_compacted`.
    """
    from coreconfig.server.recovery.compaction import compact as drop

    done = drop(url, before=before, keep_days=keep_days)
    if out.json:
        out.document({"floor": done.floor, "rows": done.rows, "movements": done.movements})
        return
    first = f"the log begins with revision {done.floor + 1}"
    out.note(f"{done.rows} revisions dropped, {first}" if done.rows else f"nothing to drop, {first}")
    if done.held_by:
        out.note(f"kept because of {done.held_by}")
