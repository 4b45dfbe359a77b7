"""`watch`: changes of a resolved configuration, as they arrive.

It asks with the ETag of what it holds, so nothing is sent while nothing changes; and it is no instance of the
service, so it never counts in the fleet or in a rollout.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import click

from coreconfig.cli.api import Answer, Api
from coreconfig.cli.output import Output, compact
from coreconfig.cli.remote import remote
from coreconfig.cli.targets import Target, read_pattern, target_argument
from coreconfig.errors import Unavailable
from coreconfig.model.keys import format_key, parse_pattern
from coreconfig.model.snapshots import moved_nodes
from coreconfig.model.trees import MISSING


@click.command()
@target_argument
@click.argument("pattern", type=read_pattern, default="**")
@click.option(
    "--interval", type=click.FloatRange(0.05), default=0.5, show_default=True, help="Seconds between looks."
)
@click.option("--count", type=click.IntRange(min=1), help="End after this many changes.")
@remote
def watch(api: Api, out: Output, *, target: Target, pattern: str, interval: float, count: int | None) -> None:
    """Print each change of a value whose key matches PATTERN, until stopped."""
    left = count
    for before, after, revision in _states(api, out, target, interval):
        for moved in changes(before, after, pattern):
            _print(out, moved, revision)
            left = None if left is None else left - 1
            if left == 0:
                return


def changes(before: dict[str, Any], after: dict[str, Any], pattern: str) -> Iterator[tuple[str, Any, Any]]:
    """Key, old and new value of what moved and matches; of the nodes above a leaf, only those asked for."""
    wanted = parse_pattern(pattern)
    for path, old, new in moved_nodes(before, after):
        # "**" would name every object above a leaf too, which says nothing new
        is_leaf = not isinstance(old, dict) and not isinstance(new, dict)
        if wanted.matches(path) and (is_leaf or "**" not in pattern):
            yield format_key(path), old, new


def _states(api: Api, out: Output, target: Target, interval: float) -> Iterator[tuple[Any, Any, int | None]]:
    """Pairs of configurations that followed one another, with the revision of the second."""
    path = target.path("configuration")
    held = api.get(path)
    values = held.body["values"]
    out.note(f"watching {target} from revision {held.revision}, stop with Ctrl-C")
    etag, heard = held.etag, True
    while True:
        time.sleep(interval)
        answer = _look(api, path, etag)
        if answer is None and heard:
            out.note("the server does not answer; waiting for it")
        heard = answer is not None
        if answer is None or answer.body is None:
            continue
        before, values, etag = values, answer.body["values"], answer.etag
        yield before, values, answer.revision


def _look(api: Api, path: str, etag: str | None) -> Answer | None:
    try:
        return api.get(path, etag=etag)
    except Unavailable:
        return None


def _print(out: Output, moved: tuple[str, Any, Any], revision: int | None) -> None:
    key, old, new = moved
    if out.json:
        said: dict[str, Any] = {
            "key": key,
            "operation": "DELETE" if new is MISSING else "SET",
            "revision": revision,
        }
        said |= {name: value for name, value in (("old", old), ("new", new)) if value is not MISSING}
        out.line(compact(said))
        return
    shown = ("(nothing)" if value is MISSING else compact(value) for value in (old, new))
    out.line(f"{key}: {' -> '.join(shown)}  (revision {revision})")
