"""`show`, `get`, `set`, `unset`, `delete`: resolved values, and single edits of a layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from coreconfig.cli.api import Api
from coreconfig.cli.near import nearest, services
from coreconfig.cli.output import Output, compact
from coreconfig.cli.receipts import place, print_receipt
from coreconfig.cli.remote import remote
from coreconfig.cli.targets import Target, doubt_about, key_argument, read_key, read_value, target_argument
from coreconfig.errors import Invalid, NotFound

_at = click.option("--at", type=click.IntRange(min=0), metavar="REVISION", help="As it was at this revision.")
_reason = click.option("--reason", metavar="TEXT", help="Why; kept in the history.")
_expect = click.option(
    "--expected-revision",
    type=click.IntRange(min=0),
    metavar="REVISION",
    help="Refuse if the key was changed after this revision.",
)
_dry_run = click.option("--dry-run", is_flag=True, help="Say what would happen, and do nothing.")


@click.command()
@target_argument
@click.option("--prefix", type=read_key, metavar="KEY", help="Only what lies at or below this key.")
@click.option("--flat", is_flag=True, help="One line for each key.")
@click.option("--origins", is_flag=True, help="Each key with the layer that gave its value.")
@_at
@remote
def show(
    api: Api, out: Output, *, target: Target, prefix: str | None, flat: bool, origins: bool, at: int | None
) -> None:
    """Show the resolved configuration of ENV or ENV/SERVICE."""
    flat = flat or origins
    answer = api.get(
        target.path("configuration"),
        prefix=prefix,
        at=at,
        flat="true" if flat else None,
        explain="true" if origins else None,
    )
    if out.json:
        out.document(answer.body)
    elif origins:
        _show_origins(out, answer.body)
    elif flat:
        for key, value in sorted(answer.body["values"].items()):
            out.line(f"{key} = {compact(value)}")
    else:
        from coreconfig.wire.yaml import dump_tree

        out.line(dump_tree(answer.body["values"]).rstrip("\n"))
    out.note(f"revision {answer.body['revision']}")


def _show_origins(out: Output, body: dict[str, Any]) -> None:
    origins = body.get("provenance") or {}
    rows = []
    for key, value in sorted(body["values"].items()):
        rows.append((key, compact(value), place(origins[key]) if key in origins else None))
    out.table(("KEY", "VALUE", "FROM"), rows)


@click.command()
@target_argument
@key_argument
@_at
@remote
def get(api: Api, out: Output, *, target: Target, key: str, at: int | None) -> None:
    """Print the resolved value at KEY: a text as it is, anything else as JSON."""
    answer = api.get(target.path("configuration", key), at=at)
    if out.json:
        out.document(answer.body)
    else:
        out.value(answer.body["value"])


# A value such as -5 begins like an option.
@click.command("set", context_settings={"ignore_unknown_options": True})
@target_argument
@key_argument
@click.argument("value", required=False)
@click.option("--string", "as_string", is_flag=True, help="The value is a text, also if it looks like JSON.")
@click.option(
    "--file", "file", type=click.Path(exists=True, dir_okay=False), help="The value stands in a file."
)
@click.option("--merge", is_flag=True, help="Fold an object into what lies there instead of replacing it.")
@_reason
@_expect
@_dry_run
@remote
def set_(
    api: Api,
    out: Output,
    *,
    target: Target,
    key: str,
    value: str | None,
    as_string: bool,
    file: str | None,
    merge: bool,
    **options: Any,
) -> int:
    """Set KEY to VALUE in a layer: that of SERVICE in ENV, or the base layer of ENV.

    VALUE is read as JSON, else as a text.
    """
    if (value is None) == (file is None):
        raise click.UsageError("Give either VALUE or --file.")
    text = _content(file) if file is not None else value or ""
    wanted = text if as_string else read_value(text)
    if not as_string and (doubt := doubt_about(wanted)):
        out.note(doubt)
    edit = {**_edit(target, key, "merge" if merge else "set"), "value": wanted}
    is_new = _is_new_service(api, target)
    status = _write(api, out, edit, **options)
    if is_new:
        _tell_new_service(api, out, target)
    return status


def _content(file: str) -> str:
    try:
        return Path(file).read_text("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(f"{file} is not UTF-8: {error.reason} at byte {error.start}", code="not_utf8") from None


def _is_new_service(api: Api, target: Target) -> bool:
    """Whether nobody has declared the service or given it a value: then this first one declares it."""
    if target.service is None:
        return False
    return api.find(target.path("configuration"), "unknown_service", prefix="x") is None


def _tell_new_service(api: Api, out: Output, target: Target) -> None:
    near = nearest(target.service or "", services(api))
    meant = f" (did you mean {' or '.join(near)}?)" if near else ""
    text = f"{target.service} is a new service in {target.environment}{meant}"
    out.note(f"{click.style('note:', fg='cyan', bold=True)} {text}")


@click.command()
@target_argument
@key_argument
@_reason
@_expect
@_dry_run
@remote
def unset(api: Api, out: Output, *, target: Target, key: str, **options: Any) -> int:
    """Let nothing that is inherited be seen at KEY.

    `delete` is the opposite: it takes the layer's own word away.
    """
    return _write(api, out, _edit(target, key, "unset"), **options)


@click.command()
@target_argument
@key_argument
@_reason
@_expect
@_dry_run
@remote
def delete(api: Api, out: Output, *, target: Target, key: str, **options: Any) -> int:
    """Take KEY out of a layer, so that the inherited value is seen again."""
    return _write(api, out, _own_entry(api, target, key), **options)


def _own_entry(api: Api, target: Target, key: str) -> dict[str, Any]:
    """The edit that deletes a key. Raises `NotFound` if the layer says nothing there: it would do nothing."""
    contributions = api.get(target.path("explain", key)).body["contributions"]
    mine = (target.environment, target.service)
    if any((one["environment"], one.get("service")) == mine for one in contributions):
        return _edit(target, key, "delete")
    text = f"{target} has no entry of its own at {key}; `coreconfig unset` hides what it inherits"
    raise NotFound(text, code="key_not_found")


def _edit(target: Target, key: str, operation: str) -> dict[str, Any]:
    if target.at is not None:
        raise Invalid("the past cannot be written", code="bad_target")
    return {
        "kind": "value",
        "environment": target.environment,
        "service": target.service,
        "key": key,
        "operation": operation,
    }


def _write(api: Api, out: Output, edit: dict[str, Any], **options: Any) -> int:
    return print_receipt(out, api.change([edit], **options), dry_run=bool(options.get("dry_run")))
