"""`explain` and `history`: where a value comes from, and how it came to be."""

from __future__ import annotations

from typing import Any

import click

from coreconfig.cli.api import Api
from coreconfig.cli.output import Output, compact, moment
from coreconfig.cli.receipts import place
from coreconfig.cli.remote import remote
from coreconfig.cli.targets import Target, key_argument, target_argument


@click.command()
@target_argument
@key_argument
@click.option("--at", type=click.IntRange(min=0), metavar="REVISION", help="As it was at this revision.")
@remote
def explain(api: Api, out: Output, *, target: Target, key: str, at: int | None) -> None:
    """Tell which layer gave the value at KEY, who put it there, and what it overrides."""
    body = api.get(target.path("explain", key), at=at).body
    if out.json:
        out.document(body)
        return
    for line in explanation(target, body):
        out.line(line)


def explanation(target: Target, body: dict[str, Any]) -> list[str]:
    """The value, then every layer that says something about it, the strongest first."""
    value = compact(body["value"]) if "value" in body else "(absent)"
    said = [{**one, "effective": _decides(one, first=i == 0)} for i, one in enumerate(body["contributions"])]
    rows = [_contribution(one) for one in said]
    widths = [max(len(row[i]) for row in rows) if rows else 0 for i in range(3)]
    lines = [f"{body['key']} = {value}   in {target} at revision {body['revision']}"]
    for row, one in zip(rows, said, strict=True):
        mark = click.style(">", fg="green") if one["effective"] else " "
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        lines.append(f"  {mark} {cells}  {row[3]}")
    return lines


def _decides(one: dict[str, Any], *, first: bool) -> bool:
    """Whether it gave what is seen; the strongest layer does so too by saying that nothing is seen."""
    return bool(one.get("effective")) or (first and one.get("operation", "").lower() == "unset")


def _contribution(one: dict[str, Any]) -> tuple[str, str, str, str]:
    where = place(one)
    says = compact(one["value"]) if "value" in one else ""
    since = f"revision {one['revision']}" if one.get("revision") is not None else ""
    who = f"by {one['author']}" if one.get("author") else ""
    rest = " ".join(filter(None, (who, "" if one["effective"] else "(overridden)")))
    return where, f"{one.get('operation', 'set').lower()} {says}".strip(), since, rest


@click.command()
@target_argument
@key_argument
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@remote
def history(api: Api, out: Output, *, target: Target, key: str, limit: int) -> None:
    """List the revisions that moved the resolved value at KEY, the newest first."""
    body = api.get(target.path("history", key), limit=limit).body
    if out.json:
        out.document(body)
        return
    rows = [
        (one["revision"], moment(one["timestamp"]), one.get("author"), _moved(one), one.get("reason"))
        for one in body["history"]
    ]
    if not rows:
        out.note(f"no kept revision moved {key} in {target}")
        return
    out.table(("REVISION", "TIME (UTC)", "AUTHOR", "CHANGE", "REASON"), rows)


def _moved(one: dict[str, Any]) -> str:
    old, new = (compact(one[side]) if side in one else "-" for side in ("old", "new"))
    return f"{old} -> {new}"
