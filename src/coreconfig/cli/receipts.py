"""What a person is told of a change that was proposed."""

from __future__ import annotations

from typing import Any

import click

from coreconfig.cli import failure
from coreconfig.cli.api import Answer
from coreconfig.cli.output import Output, compact

_SHOWN = 20
_WIDTH = 60


def print_receipt(out: Output, answer: Answer, *, dry_run: bool = False, planned: bool = False) -> int:
    """Print a receipt and give the exit status: 0 when it is done, 4 when it waits for approval.

    `planned`: a plan was shown, so what is new need not be told again.
    """
    receipt = answer.body
    if out.json:
        out.document(receipt)
    else:
        moved = receipt.get("effective") or []
        known = [one for one in moved if "old" in one or not planned]
        _describe(out, {**receipt, "effective": known} if known != moved else receipt, dry_run=dry_run)
    return failure.WAITING if answer.waits else failure.DONE


def _describe(out: Output, receipt: dict[str, Any], *, dry_run: bool) -> None:
    lines = effects(receipt)
    if lines:
        out.note("effect:")
    for line in lines:
        out.note(line)
    for issue in receipt.get("issues") or []:
        out.note(
            f"  {click.style(issue['severity'], fg='yellow')} {issue.get('key') or ''} {issue['message']}"
        )
    if dry_run:
        out.note(f"{click.style('dry run:', fg='cyan')} nothing was changed")
    elif receipt.get("state") == "completed":
        out.line(f"revision {receipt['revision']}")
    else:
        out.line(f"change {receipt['id']}: {receipt['state']}")


def effects(receipt: dict[str, Any], limit: int = _SHOWN) -> list[str]:
    """One line for each resolved value that moved, and who sees it."""
    moved = receipt.get("effective") or []
    lines = [_effect(one) for one in moved[:limit]]
    if len(moved) > limit:
        lines.append(f"  ... and {len(moved) - limit} more")
    return lines


def _effect(moved: dict[str, Any]) -> str:
    old, new = (_shortened(moved, side) for side in ("old", "new"))
    views = [place(view) for view in moved.get("views") or []]
    change = f"{click.style(old, fg='red')} -> {click.style(new, fg='green')}"
    return f"  {moved['key']}: {change}" + (f"  in {', '.join(views)}" if views else "")


def _shortened(moved: dict[str, Any], side: str) -> str:
    text = compact(moved[side]) if side in moved else "(nothing)"
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."


def place(view: dict[str, Any]) -> str:
    """``ENV`` or ``ENV/SERVICE``, as it is typed."""
    return "/".join(filter(None, (view["environment"], view.get("service"))))
