"""The examples of the reference, run against a server that has the example's environments as revision 1."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.acceptance.command_line import FILES, environment
from tests.acceptance.documents import DOCS, blocks, commands, deviation

from coreconfig.cli.run import run
from coreconfig.testing.server import InProcessServer


@pytest.fixture
def url(server: InProcessServer) -> str:
    """The address of such a server."""
    assert run(["--url", server.url, "apply", *FILES]) == 0
    return server.url


def pages(language: str) -> list[str]:
    """The pages of the reference that have code of a language."""
    return [
        str(page.relative_to(DOCS))
        for page in sorted((DOCS / "reference").glob("*.md"))
        if any(block.language == language for block in blocks(page))
    ]


@pytest.mark.parametrize("page", pages("console"))
def test_console_examples_print_what_they_show(page: str, url: str, tmp_path: Path) -> None:
    """In the order of the page, on one server."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    variables = {**environment(tmp_path), "CORECONFIG_URL": url, "PATH": path}
    for block in blocks(DOCS / page):
        for typed in commands(block) if block.language == "console" else ():
            if typed.line.startswith("curl") and shutil.which("curl") is None:
                pytest.skip("curl is not installed")
            told = subprocess.run(
                ["bash", "-c", f"{typed.line} 2>&1"],
                env=variables,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            fault = deviation(typed.expected, told.stdout)
            assert fault is None, f"{page}, line {block.line}: {typed.line}\n{fault}"


@pytest.mark.parametrize("page", pages("python"))
def test_python_examples_run(page: str, url: str, tmp_path: Path) -> None:
    """One after another in one program, so that later ones use what earlier ones made."""
    program = "\n".join(block.text for block in blocks(DOCS / page) if block.language == "python")
    variables = {**environment(tmp_path), "CORECONFIG_URL": url}
    told = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=variables,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 0, f"{page}\n{told.stdout}\n{told.stderr}"
