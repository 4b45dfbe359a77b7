"""`change`: what was proposed, and what became of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from coreconfig.cli.api import Api
from coreconfig.cli.output import Output, compact, moment
from coreconfig.cli.receipts import effects, place
from coreconfig.cli.remote import remote


@click.group()
def change() -> None:
    """List changes and show one."""


@change.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@remote
def list_(api: Api, out: Output, *, limit: int) -> None:
    """List changes, the newest first."""
    body = api.get("/v1/changes", limit=limit).body
    if out.json:
        out.document(body)
        return
    columns = ("id", "state", "revision", "author", "created_at", "reason")
    rows = [
        [moment(one.get(name)) if name == "created_at" else one.get(name) for name in columns]
        for one in body["changes"]
    ]
    out.table(
        ("ID", "STATE", "REVISION", "AUTHOR", "CREATED (UTC)", "REASON"), rows, spare=("CREATED (UTC)",)
    )


@change.command()
@click.argument("change_id", metavar="ID")
@remote
def show(api: Api, out: Output, *, change_id: str) -> None:
    """Show the edits of a change and what they moved."""
    body = api.get(f"/v1/changes/{quote(change_id, safe='')}").body
    body = body.get("change", body) if isinstance(body.get("change"), dict) else body
    if out.json:
        out.document(body)
        return
    for line in description(body):
        out.line(line)


def description(body: dict[str, Any]) -> list[str]:
    """State, reason, edits and effect of a change, a line each."""
    lines = [f"change {body['id']}: {body['state']}"]
    said = [
        name for name in ("revision", "author", "reason", "created_at") if body.get(name) not in (None, "")
    ]
    lines += [f"{name.replace('_', ' ')}: {body[name]}" for name in said]
    edits = body.get("edits") or []
    lines += ["edits:", *(f"  {edit_line(edit)}" for edit in edits)] if edits else []
    moved = effects(body, limit=1_000)
    return lines + (["effect:", *moved] if moved else [])


def edit_line(edit: dict[str, Any]) -> str:
    """One edit as a sentence without a verb too many."""
    where = place(edit)
    if edit.get("kind") == "environment":
        return f"{edit['operation']} environment {where}"
    value = f" = {compact(edit['value'])}" if "value" in edit else ""
    return f"{where}: {edit['operation']} {edit['key']}{value}"
