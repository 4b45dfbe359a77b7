"""The command line in the documentation and in the sources are the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from coreconfig.cli.root import COMMANDS, root

PAGE = (Path(__file__).parents[3] / "docs/reference/cli.md").read_text("utf-8")
HEADING = re.compile(r"^### `coreconfig ([^`]+)`\n", re.MULTILINE)
OF_ALL = {"--url", "--token", "--json"}


def leaf_commands(group: click.Group, names: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from leaf_commands(command, (*names, name))
        elif command is not None:
            yield " ".join((*names, name)), command


COMMANDS_BY_NAME = dict(leaf_commands(root))


def sections() -> dict[str, str]:
    """The text below each command's heading, by the heading."""
    parts = HEADING.split(PAGE)[1:]
    return {heading: text.split("\n## ")[0] for heading, text in zip(parts[::2], parts[1::2], strict=True)}


def usage(name: str, command: click.Command) -> str:
    """The command as it is typed, without options."""
    context = click.Context(command)
    arguments = [one.make_metavar(context) for one in command.params if isinstance(one, click.Argument)]
    return " ".join([name, *arguments])


def options_of(command: click.Command) -> set[str]:
    return {text for one in command.params if isinstance(one, click.Option) for text in one.opts} - OF_ALL


def test_every_command_has_a_section_with_its_arguments_and_no_other_has_one() -> None:
    """As `--help` shows them."""
    assert set(sections()) == {usage(name, command) for name, command in COMMANDS_BY_NAME.items()}


@pytest.mark.parametrize("name", COMMANDS_BY_NAME)
def test_every_option_is_explained_and_none_that_is_not_there(name: str) -> None:
    """In the table of its command."""
    command = COMMANDS_BY_NAME[name]
    rows = re.findall(r"^\| (`-[^|]*) \|", sections()[usage(name, command)], re.MULTILINE)
    explained = {word for row in rows for word in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", row)}
    assert explained == options_of(command)


@pytest.mark.parametrize("name", COMMANDS_BY_NAME)
def test_every_option_and_command_has_a_help_text(name: str) -> None:
    """`--help` leaves nothing unexplained, and no metavar is the name of a function."""
    command = COMMANDS_BY_NAME[name]
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, option.opts
            assert not option.make_metavar(click.Context(command)).startswith("READ_"), option.opts


def test_options_of_every_command_are_those_of_the_root() -> None:
    """They are documented once, so they have to mean the same everywhere."""
    said = {text for one in root.params for text in one.opts}
    assert said >= OF_ALL
    assert all(name in PAGE for name in OF_ALL)
    assert set(COMMANDS) == {name.split()[0] for name in COMMANDS_BY_NAME}
