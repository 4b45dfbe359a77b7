"""`diff`: two resolved configurations side by side."""

from __future__ import annotations

from typing import Any

import click

from coreconfig.cli.api import Api
from coreconfig.cli.output import Output
from coreconfig.cli.plan_text import difference_lines, leaves_of
from coreconfig.cli.remote import remote
from coreconfig.cli.targets import Target, read_dated_target


@click.command()
@click.argument("before", metavar="A", type=read_dated_target)
@click.argument("after", metavar="B", type=read_dated_target)
@remote
def diff(api: Api, out: Output, *, before: Target, after: Target) -> None:
    """Compare what A and B resolve to.

    Each is ENV or ENV/SERVICE, and may end in @REVISION.
    """
    old, new = (_values(api, target) for target in (before, after))
    if out.json:
        out.document(_as_changes(old, new))
        return
    lines = list(difference_lines(leaves_of(old), leaves_of(new)))
    for line in lines:
        out.line(line)
    if not lines:
        out.note("no difference")


def _values(api: Api, target: Target) -> dict[str, Any]:
    values: dict[str, Any] = api.get(target.path("configuration"), at=target.at).body["values"]
    return values


def _as_changes(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    from coreconfig.model.keys import format_key
    from coreconfig.model.snapshots import diff as changes_between

    changes = [
        {"key": format_key(one.path), "operation": one.operation}
        | ({"value": one.value} if one.operation == "SET" else {})
        for one in changes_between(old, new)
    ]
    return {"changes": changes}
