"""A server of its own for each test, and the command line pointed at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.acceptance.command_line import FILES, CommandLine, server_process


@pytest.fixture
def coreconfig(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[CommandLine]:
    """`coreconfig` against a server that holds nothing yet."""
    with server_process(tmp_path) as url:
        yield CommandLine(url, capsys)


@pytest.fixture
def trading(coreconfig: CommandLine) -> CommandLine:
    """The same, with the environments of the trading platform as revision 1."""
    coreconfig("apply", *FILES)
    return coreconfig
