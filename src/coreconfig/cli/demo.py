"""`demo`: the whole way, from environment files to values in running services."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from coreconfig.cli import failure


@click.command()
@click.option("--once", is_flag=True, help="Make the tour and end: status 0 only if every step was seen.")
@click.option(
    "--folder", type=click.Path(file_okay=False), help="Keep the database here; else it is temporary."
)
@click.option("--port", type=click.IntRange(1, 65535), help="The server's port; else 8400 if it is free.")
def demo(*, once: bool, folder: str | None, port: int | None) -> int:
    """Show CoreConfig at work: a server, four services, and changes that reach them.

    Everything runs on this machine and ends with Ctrl-C.
    """
    from coreconfig.cli.tour import steps
    from coreconfig.cli.tour.screen import Screen, StepFailed
    from coreconfig.cli.tour.stage import Stage

    screen = Screen()
    screen.title("CoreConfig: from an environment file to a live value")
    with _ended_by_signals(), _place(folder) as place, Stage(place, port) as stage:
        try:
            steps.run(stage, screen)
        except StepFailed:
            click.secho(f"\nThe demo failed at: {screen.step_name}", fg="red", err=True)
            return failure.FAILED
        if once:
            click.secho("\nEvery step was seen.", bold=True)
            return failure.DONE
        _stay(stage.url)
    return failure.DONE


def _stay(url: str) -> None:
    there = "" if url.endswith(":8400") else f"export CORECONFIG_URL={url}\n  "
    own = own_command()
    click.echo(f"""
The server at {url} and the services stay up.
In another terminal, in this folder, try:

  {there}{own} fleet
  {own} show trading-demo/trading-engine
  {own} set trading-demo/trading-engine risk.maxPositionSize 4000
  {own} explain trading-demo/trading-engine risk.maxPositionSize
  {own} watch trading-demo/trading-engine

Ctrl-C ends everything.""")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        click.echo("\nstopping")


def own_command() -> str:
    """What a person types in this folder to call this very command line."""
    own = Path(sys.executable).with_name("coreconfig")
    found = shutil.which("coreconfig")
    if not own.exists() or (found is not None and Path(found).absolute() == own.absolute()):
        return "coreconfig"
    try:
        return str(own.relative_to(Path.cwd()))
    except ValueError:
        return str(own)


@contextmanager
def _place(folder: str | None) -> Iterator[Path]:
    """The given folder, or one that is gone afterwards."""
    if folder is not None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        yield Path(folder).resolve()
        return
    with tempfile.TemporaryDirectory(prefix="coreconfig-demo-", ignore_cleanup_errors=True) as temporary:
        yield Path(temporary)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Being terminated ends the demo the way Ctrl-C does, so that the processes it started are stopped.

    SIGINT is named too: a shell lets what it starts in the background ignore it, and then nobody could.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, _interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, kept in before.items():
            signal.signal(number, kept)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
