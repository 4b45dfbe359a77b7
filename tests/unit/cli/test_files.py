"""Which files `apply` reads, and in which order their environments come."""

from __future__ import annotations

from pathlib import Path

import pytest

from coreconfig.cli.files import parents_first, read_environments
from coreconfig.errors import Invalid
from coreconfig.model.environments import Environment


def environment(name: str, *inherits: str) -> Environment:
    return Environment(id=name, name=name, type="testing", inherits=inherits)


def write(folder: Path, name: str, text: str) -> str:
    file = folder / name
    file.write_text(text, "utf-8")
    return str(file)


def test_parents_come_before_children() -> None:
    """Whatever order the files were named in."""
    given = {one.id: one for one in (environment("c", "b", "a"), environment("b", "a"), environment("a"))}
    assert list(parents_first(given)) == ["a", "b", "c"]


def test_a_cycle_does_not_hang_the_command() -> None:
    """The server is the one to refuse it, with the path."""
    given = {one.id: one for one in (environment("a", "b"), environment("b", "a"))}
    assert set(parents_first(given)) == {"a", "b"}


def test_a_folder_stands_for_the_files_in_it(tmp_path: Path) -> None:
    """YAML and JSON alike; other files are left alone."""
    write(tmp_path, "a.yaml", "id: a\ntype: testing\n")
    write(tmp_path, "b.json", '{"id": "b", "type": "testing"}')
    write(tmp_path, "notes.txt", "nothing")
    assert list(read_environments([str(tmp_path)])) == ["a", "b"]


def test_the_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    """Each with the name of its file."""
    first = write(tmp_path, "a.yaml", "id: a\ntype: wrong\nid: a\n")
    second = write(tmp_path, "b.yaml", "id: B\ntype: nonsense\n")
    missing = str(tmp_path / "none.yaml")
    with pytest.raises(Invalid) as caught:
        read_environments([first, second, missing])
    told = [(issue.code, issue.message.partition(": ")[0]) for issue in caught.value.issues]
    assert told == [
        ("duplicate_member", first),
        ("bad_id", second),
        ("bad_type", second),
        ("unreadable_file", missing),
    ]


def test_two_files_cannot_describe_one_environment(tmp_path: Path) -> None:
    """Neither of them would win silently."""
    files = [write(tmp_path, f"{n}.yaml", "id: a\ntype: testing\n") for n in (1, 2)]
    with pytest.raises(Invalid) as caught:
        read_environments(files)
    assert caught.value.code == "environment_twice"


def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    """Applying nothing is not success."""
    with pytest.raises(Invalid, match="holds no YAML"):
        read_environments([str(tmp_path)])
