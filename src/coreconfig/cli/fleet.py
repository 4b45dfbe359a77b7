"""`fleet`: who is running, and what."""

from __future__ import annotations

import click

from coreconfig.cli.api import Api
from coreconfig.cli.output import Output
from coreconfig.cli.remote import remote

_COLUMNS = (
    "instance",
    "service",
    "environment",
    "app_version",
    "revision",
    "state",
    "health",
    "connected_at",
)


@click.command()
@click.option("--environment", metavar="ENV", help="Only instances in this environment.")
@click.option("--service", metavar="SERVICE", help="Only instances of this service.")
@remote
def fleet(api: Api, out: Output, *, environment: str | None, service: str | None) -> None:
    """List the connected instances and the revision that each of them runs."""
    body = api.get("/v1/fleet", environment=environment, service=service).body
    if out.json:
        out.document(body)
        return
    instances = sorted(
        body["instances"], key=lambda one: (one["environment"], one["service"], one["instance"])
    )
    rows = [[one.get(name) for name in _COLUMNS] for one in instances]
    out.table([name.upper().replace("_", " ") for name in _COLUMNS], rows)
