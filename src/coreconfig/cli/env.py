"""`env`: environments as a whole."""

from __future__ import annotations

from typing import Any

import click

from coreconfig.cli.api import Api
from coreconfig.cli.output import Output
from coreconfig.cli.receipts import print_receipt
from coreconfig.cli.remote import remote
from coreconfig.cli.targets import Target, read_environment
from coreconfig.model.environments import TYPES


@click.group()
def env() -> None:
    """List, show, create and delete environments."""


@env.command("list")
@remote
def list_(api: Api, out: Output) -> None:
    """List the environments with their parents and services."""
    body = api.get("/v1/environments").body
    if out.json:
        out.document(body)
        return
    columns = ("id", "name", "type", "inherits", "status", "services")
    rows = [[one.get(name) for name in columns] for one in body["environments"]]
    out.table([name.upper() for name in columns], rows, spare=("STATUS",))


@env.command()
@click.argument("environment", metavar="ENV", type=read_environment)
@remote
def show(api: Api, out: Output, *, environment: str) -> None:
    """Show what ENV itself says; `coreconfig show` shows what it resolves to."""
    from coreconfig.wire.yaml import dump

    body = api.get(Target(environment).path()).body
    if out.json:
        out.document(body)
        return
    out.line(dump(body["environment"]).rstrip("\n"))
    out.note(f"status {body.get('status', 'active')}, revision {body.get('revision')}")


@env.command()
@click.argument("environment", metavar="ENV", type=read_environment)
@click.option(
    "--type",
    "kind",
    type=click.Choice(TYPES),
    default="development",
    show_default=True,
    help="What it is for.",
)
@click.option("--name", metavar="TEXT", help="How people call it.")
@click.option(
    "--inherits",
    multiple=True,
    type=read_environment,
    metavar="ENV",
    help="A parent; later ones win over earlier ones.",
)
@click.option("--service", "services", multiple=True, metavar="SERVICE", help="A service that runs in it.")
@click.option("--reason", metavar="TEXT", help="Why; kept in the history.")
@remote
def create(
    api: Api,
    out: Output,
    *,
    environment: str,
    kind: str,
    name: str | None,
    inherits: tuple[str, ...],
    services: tuple[str, ...],
    reason: str | None,
) -> int:
    """Create an empty environment; `coreconfig apply` creates one from a file."""
    document: dict[str, Any] = {"id": environment, "name": name or environment, "type": kind}
    document |= {"inherits": list(inherits), "services": {service: {} for service in services}}
    return _propose(api, out, environment, "create", reason, document=document)


@env.command()
@click.argument("environment", metavar="ENV", type=read_environment)
@click.option("--reason", metavar="TEXT", help="Why; kept in the history.")
@remote
def delete(api: Api, out: Output, *, environment: str, reason: str | None) -> int:
    """Delete ENV; refused while another environment inherits it."""
    return _propose(api, out, environment, "delete", reason)


def _propose(api: Api, out: Output, environment: str, operation: str, reason: str | None, **more: Any) -> int:
    edit = {"kind": "environment", "environment": environment, "operation": operation, **more}
    return print_receipt(out, api.change([edit], reason=reason))
