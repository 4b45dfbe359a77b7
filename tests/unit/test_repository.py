"""Rules about the repository itself: what is installed, what is exported, what the texts lead to."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest

import coreconfig
from coreconfig.model.snapshots import digest_of, digest_text

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
TEXTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def pins(name: str) -> dict[str, str]:
    """{distribution: version} of a locked list."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE))


def test_the_base_install_needs_four_distributions() -> None:
    """A fifth is a decision to be written down, not an edit."""
    names = [re.split(r"[>=<~! ]", requirement)[0] for requirement in PROJECT["dependencies"]]
    assert names == ["click", "httpx2", "msgspec", "websockets"]


def test_the_extra_all_names_every_other_extra() -> None:
    """Whoever asks for all of it gets all of it."""
    extras = dict(PROJECT["optional-dependencies"])
    (everything,) = extras.pop("all")
    assert everything == f"coreconfig[{','.join(extras)}]"


@pytest.mark.parametrize("name", ["server.txt", "dev.txt", "lock.txt"])
def test_every_pin_carries_hashes(name: str) -> None:
    """An unhashed pin would make pip refuse the whole list."""
    text = (ROOT / "requirements" / name).read_text()
    blocks = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
    assert blocks
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_tests_run_on_what_the_demo_runs_on() -> None:
    """Both lists pin the same versions, so that one environment can hold both."""
    dev = pins("dev.txt")
    assert {name: dev.get(name) for name in pins("server.txt")} == pins("server.txt")


def test_every_declared_dependency_is_pinned() -> None:
    """A dependency added to the project and not locked would be missing on a new machine."""
    declared = [*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())]
    names = {re.split(r"[>=<~!\[ ]", requirement)[0].replace(".", "-") for requirement in declared}
    assert names - {"coreconfig"} - pins("dev.txt").keys() == set()


def test_all_public_names_can_be_loaded() -> None:
    """Every exported name leads to its home."""
    for name in coreconfig.__all__:
        assert getattr(coreconfig, name).__name__ == name


def test_the_public_names_are_these() -> None:
    """Programs rely on them: taking one away needs a decision."""
    assert {name for name in coreconfig.__all__ if not issubclass(getattr(coreconfig, name), Exception)} == {
        "AsyncCoreConfig",
        "Change",
        "CoreConfig",
        "Issue",
    }


def test_an_unknown_name_is_an_attribute_error() -> None:
    """Lazy loading hides no misspelling."""
    with pytest.raises(AttributeError, match="CoreConfg"):
        coreconfig.CoreConfg  # noqa: B018  # reading the attribute is the test


def test_importing_the_package_loads_no_library() -> None:
    """`import coreconfig` is free; the network is paid for by the programs that use it."""
    program = (
        "import sys; before = set(sys.modules); import coreconfig; print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert loaded & {"asyncio", "click", "httpx2", "msgspec", "ssl", "websockets"} == set()


def test_every_link_in_the_texts_leads_somewhere() -> None:
    """A page that was renamed is renamed everywhere."""
    broken = [
        f"{text.relative_to(ROOT)}: {target}"
        for text in TEXTS
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text.read_text())
        if "://" not in target and not (text.parent / target).exists()
    ]
    assert broken == []


def test_every_python_example_in_the_texts_is_python() -> None:
    """Examples are at least free of syntax errors."""
    for text in TEXTS:
        for number, block in enumerate(PYTHON_BLOCK.findall(text.read_text())):
            compile(block, f"{text.name} block {number}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_the_digests_in_the_client_specification_are_ours() -> None:
    """Other languages are tested against these examples, so they must be what our own code computes."""
    text = (ROOT / "docs" / "client-specification.md").read_text()
    examples = re.findall(r"^\| `(\{.*\})` \| `(\{.*\})` \| `([0-9a-f]{32})` \|$", text, re.MULTILINE)
    assert len(examples) == 5
    for values, secrets, digest in examples:
        assert digest_text(digest_of(json.loads(values), json.loads(secrets))) == digest, values
