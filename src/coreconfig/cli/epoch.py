"""`epoch`: what revision numbers belong to."""

from __future__ import annotations

import click

from coreconfig.cli.api import Api
from coreconfig.cli.output import Output
from coreconfig.cli.remote import remote


@click.group()
def epoch() -> None:
    """Begin an epoch, after the database went back behind what clients have."""


@epoch.command()
@click.option("--reason", metavar="TEXT", required=True, help="Why; kept in the history.")
@click.option("--epoch", "number", type=click.IntRange(min=1), help="This one instead of the next.")
@remote
def new(api: Api, out: Output, *, reason: str, number: int | None) -> None:
    """Begin a greater epoch in the running installation.

    Every client then takes what the servers have, whatever it holds. Needed after a failover of the database
    that lost revisions, and where an older database was put in place without `coreconfig restore`. One
    server is asked, and all on the database follow.
    """
    wanted = {"reason": reason} if number is None else {"reason": reason, "epoch": number}
    body = api.write("POST", "/v1/epochs", wanted).body
    if out.json:
        out.document(body)
        return
    out.note(f"epoch {body['epoch']} begins with revision {body['revision']}")
