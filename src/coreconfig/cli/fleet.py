"""`fleet`: who is running, and what."""

from __future__ import annotations

from typing import Any

import click

from coreconfig.cli.api import Api
from coreconfig.cli.output import Output, moment
from coreconfig.cli.remote import remote

_COLUMNS = {
    "INSTANCE": "instance",
    "SERVICE": "service",
    "ENVIRONMENT": "environment",
    "VERSION": "app_version",
    "REVISION": "revision",
    "STATE": "state",
    "HEALTH": "health",
    "SINCE (UTC)": "connected_at",
}


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
    if not body["instances"]:
        out.note("no such instance is connected" if environment or service else "no instance is connected")
        return
    instances = sorted(
        body["instances"], key=lambda one: (one["environment"], one["service"], one["instance"])
    )
    out.table(list(_COLUMNS), [_row(one) for one in instances], spare=("SINCE (UTC)", "VERSION"))


def _row(instance: dict[str, Any]) -> list[Any]:
    said = {**instance, "connected_at": moment(instance.get("connected_at"))}
    return [said.get(name) for name in _COLUMNS.values()]
