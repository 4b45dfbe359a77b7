"""The command line as a whole: its commands, its help, its exit statuses for wrong usage."""

from __future__ import annotations

import subprocess
import sys

import pytest

from coreconfig import __version__
from coreconfig.cli.root import COMMANDS
from coreconfig.cli.run import run


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_text(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` works without a server and without an argument."""
    assert run([command, "--help"]) == 0
    assert "Usage: coreconfig" in capsys.readouterr().out


def test_an_unknown_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, and a suggestion."""
    assert run(["exprot", "production"]) == 2
    assert "Did you mean 'export'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["get", "production"],
        ["get", "Production", "a.b"],
        ["get", "production", "a..b"],
        ["set", "production", "a"],
        ["set", "production", "a", "1", "--file", __file__],
        ["revert", "0"],
        ["token", "create", "me"],
        ["--nonsense"],
    ],
)
def test_wrong_usage_has_status_2_and_says_why_on_standard_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing was sent, so nothing answers at the address and nobody notices."""
    assert run([*arguments, *(["--url", "http://127.0.0.1:1"] if arguments[0] != "--nonsense" else [])]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err


def test_the_version_is_answered_without_loading_anything() -> None:
    """Neither click nor the network libraries are imported for it."""
    program = (
        "import sys; sys.argv = ['coreconfig', '--version']\n"
        "from coreconfig.cli.main import main; main()\n"
        "assert not {'click', 'httpx2', 'asyncio', 'msgspec'} & set(sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told == f"coreconfig {__version__}\n"


def test_the_help_loads_no_command() -> None:
    """The list of commands costs no import of what they need."""
    program = (
        "import sys\nfrom coreconfig.cli.run import run\nassert run(['--help']) == 0\n"
        "assert not {'httpx2', 'ruamel.yaml', 'sqlalchemy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
