"""`token`: who may do what."""

from __future__ import annotations

from urllib.parse import quote

import click

from coreconfig.cli.api import Api
from coreconfig.cli.output import Output, moment
from coreconfig.cli.remote import remote


@click.group()
def token() -> None:
    """Create, list and revoke tokens."""


@token.command()
@click.argument("name")
@click.option("--role", "roles", multiple=True, metavar="ROLE", help="viewer, editor, operator, admin, ...")
@click.option("--service", metavar="SERVICE", help="A token of this service instead of a person's.")
@click.option("--environment", "environments", multiple=True, metavar="ENV", help="Only in this environment.")
@click.option("--key", "keys", multiple=True, metavar="PATTERN", help="Only keys that match.")
@remote
def create(
    api: Api,
    out: Output,
    *,
    name: str,
    roles: tuple[str, ...],
    service: str | None,
    environments: tuple[str, ...],
    keys: tuple[str, ...],
) -> None:
    """Create a token and print it: once, it cannot be shown again.

    The first token ends open mode, in which everybody on this machine may do everything.
    """
    if bool(roles) == bool(service):
        raise click.UsageError("Give either --role (for a person) or --service.")
    wanted = {"name": name, "roles": list(roles), "service": service}
    wanted |= {"environments": list(environments), "keys": list(keys)}
    body = api.write("POST", "/v1/tokens", {key: said for key, said in wanted.items() if said}).body
    if out.json:
        out.document(body)
        return
    out.line(body["token"])
    out.note(f"keep it now, it is not shown again; `coreconfig token revoke {body['id']}` ends it")


@token.command("list")
@remote
def list_(api: Api, out: Output) -> None:
    """List the tokens; the secrets themselves are not kept by the server."""
    body = api.get("/v1/tokens").body
    if out.json:
        out.document(body)
        return
    columns = ("id", "name", "roles", "service", "environments", "keys", "created_at")
    rows = [
        [moment(one.get(name)) if name == "created_at" else one.get(name) for name in columns]
        for one in body["tokens"]
    ]
    out.table(
        ("ID", "NAME", "ROLES", "SERVICE", "ENVIRONMENTS", "KEYS", "CREATED (UTC)"),
        rows,
        spare=("CREATED (UTC)",),
    )


@token.command()
@click.argument("token_id", metavar="ID")
@remote
def revoke(api: Api, out: Output, *, token_id: str) -> None:
    """End a token; what is connected with it is cut off within a second."""
    answer = api.write("DELETE", f"/v1/tokens/{quote(token_id, safe='')}")
    if out.json:
        out.document(answer.body or {"id": token_id})
        return
    out.note(f"revoked {token_id}")
