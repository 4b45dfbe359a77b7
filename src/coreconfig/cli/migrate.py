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
    help="The database; a plain path is an SQLite file.",
)
def migrate(*, database: str) -> None:
    """Create the tables of a database, or bring them to this version.

    `coreconfig serve` does the same when it starts; a server that runs on the database has to stop first.
    """
    try:
        from coreconfig.server.db.database import Database
    except ModuleNotFoundError as error:
        raise not_installed(error) from error
    url = database_url(database)
    Database.open(url, migrate=True).close()
    click.echo(f"{url} is up to date", err=True)
