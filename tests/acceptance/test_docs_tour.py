"""README and tutorial, word for word, against the demo that they tell about."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.acceptance.command_line import command, environment
from tests.acceptance.documents import DOCS, ROOT, Block, blocks, commands, deviation

from coreconfig.cli.tour.processes import Child
from coreconfig.cli.tour.stage import free_port

pytestmark = pytest.mark.slow

NOT_TYPED_HERE = re.compile(r"script/(demo|test)|source |(\.venv/bin/)?coreconfig serve")
"""Commands that set up what the test has already."""


@dataclass
class Demo:
    """A demo that stays up, and what it printed."""

    child: Child
    url: str
    folder: Path

    @property
    def printed(self) -> str:
        return "\n".join(line.text for line in self.child.lines)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """`coreconfig demo` after its last step, with everything still running."""
    port = free_port(0)
    arguments = command("demo", "--folder", str(tmp_path), "--port", str(port))
    child = Child("the demo", arguments, environment(tmp_path), tmp_path)
    try:
        child.wait_for("Ctrl-C ends everything", seconds=120)
        yield Demo(child, f"http://127.0.0.1:{port}", tmp_path)
    finally:
        child.stop()


class Terminals:
    """A person with several terminals: types commands, leaves a program running, saves files."""

    def __init__(self, demo: Demo) -> None:
        self.folder = demo.folder
        self.variables = {
            **environment(demo.folder),
            "CORECONFIG_URL": demo.url,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "100",
        }
        (self.folder / ".venv").symlink_to(Path(sys.executable).parents[1])
        (self.folder / "examples").symlink_to(ROOT / "examples")
        self.running: Child | None = None
        self.heard = 0

    def follow(self, page: Path) -> None:
        """Do what a page says, and see what it says that one sees."""
        for block in blocks(page):
            where = f"{page.name}, line {block.line}"
            if "file" in block.options:
                (self.folder / block.options["file"]).write_text(block.text, "utf-8")
            elif block.language == "console":
                for typed in commands(block):
                    if not NOT_TYPED_HERE.match(typed.line):
                        self.type(typed.line, typed.expected, where)
            elif block.language == "text" and self.running is not None:
                self.see(block)

    def type(self, line: str, expected: list[str], where: str) -> None:
        """One command; a program of one's own is left running."""
        if line.endswith(".py"):
            self.running = Child("mine", shlex.split(line), self.variables, self.folder)
            for text in expected:
                self.running.wait_for(f"^{re.escape(text)}$", seconds=20)
            self.heard = len(self.running.lines)
            return
        told = subprocess.run(
            ["bash", "-c", f"{line} 2>&1"],
            env=self.variables,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in told.stdout, f"{where}: {line}\n{told.stdout}"
        fault = deviation(expected, told.stdout)
        assert fault is None, f"{where}: {line}\n{fault}"
        if not any(text.startswith("error:") for text in expected):
            assert told.returncode == 0, f"{where}: {line}\n{told.stdout}"

    def see(self, block: Block) -> None:
        """What the running program prints next; then Enter ends it."""
        assert self.running is not None
        for text in block.text.splitlines():
            self.running.wait_for(f"^{re.escape(text)}$", since=self.heard, seconds=10)
        self.running.tell("")
        self.stop()

    def stop(self) -> None:
        """Nothing is left running."""
        if self.running is not None:
            self.running.stop()
            self.running = None


def test_the_readme_tells_what_is_seen_and_leads_to_a_changed_value(demo: Demo) -> None:
    """Its transcript is what the demo prints; its five lines print the value that is set beside them."""
    shown = next(block for block in blocks(ROOT / "README.md") if block.language == "text")
    fault = deviation(["…", *shown.text.splitlines()], demo.printed)
    assert fault is None, fault
    person = Terminals(demo)
    try:
        person.follow(ROOT / "README.md")
    finally:
        person.stop()


def test_the_tutorial_can_be_followed_word_for_word(demo: Demo) -> None:
    """Every command, every line that it shows, in order."""
    person = Terminals(demo)
    try:
        person.follow(DOCS / "tutorial.md")
    finally:
        person.stop()


def test_the_readme_leads_with_the_two_commands() -> None:
    """Nothing but words comes before them, and its program has five lines."""
    first, *rest = blocks(ROOT / "README.md")
    assert [typed.line for typed in commands(first)] == ["script/demo", "script/test"]
    program = next(block for block in rest if block.language == "python")
    assert len(program.text.splitlines()) == 5
