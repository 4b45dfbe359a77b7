"""The wheel that is built from this checkout holds what an installed CoreConfig needs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The files of a freshly built wheel."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def files(folder: Path) -> set[str]:
    """Every file under a folder that belongs to the source, relative to it."""
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix() for path in found}


def test_the_wheel_holds_the_whole_package(members: set[str]) -> None:
    """Migrations, type marker and templates count as much as modules do."""
    assert {f"coreconfig/{name}" for name in files(ROOT / "src" / "coreconfig")} - members == set()


def test_the_wheel_holds_what_the_demo_shows(members: set[str]) -> None:
    """`coreconfig demo` works without a checkout."""
    wanted = {
        f"coreconfig/examples/{name}" for name in files(ROOT / "examples") if "trading-platform" in name
    }
    assert wanted
    assert wanted - members == set()


def test_the_wheel_holds_nothing_else(members: set[str]) -> None:
    """Tests, scripts and documentation stay at home; the licence travels along."""
    roots = {name.split("/")[0] for name in members}
    assert {root for root in roots if not root.endswith(".dist-info")} == {"coreconfig"}
    assert any(name.endswith("licenses/LICENSE") for name in members)
