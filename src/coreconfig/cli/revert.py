"""`revert`: take a revision back."""

from __future__ import annotations

import click

from coreconfig.cli.api import Api
from coreconfig.cli.output import Output
from coreconfig.cli.receipts import print_receipt
from coreconfig.cli.remote import remote


@click.command()
@click.argument("revision", type=click.IntRange(min=1))
@click.option("--reason", metavar="TEXT", help="Why; kept in the history.")
@remote
def revert(api: Api, out: Output, *, revision: int, reason: str | None) -> int:
    """Restore what REVISION replaced, as a new revision.

    A key that was edited since is a conflict, and nothing is reverted.
    """
    body = {"reason": reason} if reason else {}
    return print_receipt(out, api.write("POST", f"/v1/revisions/{revision}/revert", body))
