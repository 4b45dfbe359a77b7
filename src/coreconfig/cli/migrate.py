"""`migrate`: a database brought to this version, without a server."""

from __future__ import annotations

import click

from coreconfig.cli.serve import database_url, not_installed


@click.command()
@click.option(
    "--database",
    metavar="URL",
    envvar="CORECONFIG_DATABASE",
    default="sqlite:///coreconfig.db",
    show_default=True,
    help="The database; a plain path is an SQLite file, postgresql://user@host/name one on a server.",
)
def migrate(*, database: str) -> None:
    """Create the tables of a database, or bring them to this version.

    `coreconfig serve` does the same when it starts. A server that runs on an SQLite file has to stop first;
    servers on PostgreSQL go on, and two that migrate at once wait for each other.
    """
    try:
        from coreconfig.server.db.database import Database
    except ModuleNotFoundError as error:
        raise not_installed(error) from error
    opened = Database.open(database_url(database), migrate=True)
    opened.close()
    click.echo(f"{opened.name} is up to date", err=True)
