"""`apply` and `export`: environments as files."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from coreconfig.cli import failure, plan_text
from coreconfig.cli.api import Api
from coreconfig.cli.output import Output
from coreconfig.cli.receipts import print_receipt
from coreconfig.cli.remote import remote
from coreconfig.cli.targets import Target, read_environment
from coreconfig.errors import Invalid, Issue
from coreconfig.model.documents import from_document, to_document
from coreconfig.model.environments import Environment
from coreconfig.model.values import decode_json
from coreconfig.wire.yaml import dump, load

_SUFFIXES = (".yaml", ".yml", ".json")
Found = tuple[Environment | None, int | None]


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--dry-run", is_flag=True, help="Show the plan, let the server judge it, and change nothing.")
@click.option("--reason", metavar="TEXT", help="Why; kept in the history.")
@remote
def apply(api: Api, out: Output, *, files: tuple[str, ...], dry_run: bool, reason: str | None) -> int:
    """Make environments what FILEs say, in one change.

    A FILE is YAML or JSON and holds one environment; a folder stands for the files in it, `-` for standard
    input. What a file does not say is taken out of its environment; environments without a file stay as
    they are.
    """
    wanted = read_environments(files)
    current = {name: _current(api, name) for name in wanted}
    edits = plan_edits({name: found for name, (found, _) in current.items()}, wanted)
    if not edits:
        return _nothing_to_change(out, list(wanted))
    if not out.json:
        for name, environment in wanted.items():
            for line in plan_text.environment_lines(current[name][0], environment):
                out.note(line)
    seen = [revision for found, revision in current.values() if found is not None and revision is not None]
    expected = min(seen) if seen else None
    answer = api.change(edits, reason=reason, dry_run=dry_run, expected_revision=expected)
    return print_receipt(out, answer, dry_run=dry_run, planned=True)


@click.command()
@click.argument("environment", metavar="ENV", type=read_environment)
@click.option("--at", type=click.IntRange(min=0), metavar="REVISION", help="As it was at this revision.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="Write into a file.")
@remote
def export(api: Api, out: Output, *, environment: str, at: int | None, output: str | None) -> None:
    """Write what ENV itself says as YAML, the same bytes for the same content; `apply` reads it back."""
    document = api.get(Target(environment).path(), at=at).body["environment"]
    if out.json:
        out.document(document)
        return
    text = dump(to_document(from_document(document)))
    if output is None:
        click.echo(text, nl=False)
    else:
        Path(output).write_text(text, "utf-8")
        out.note(f"wrote {output}")


def read_environments(files: Sequence[str]) -> dict[str, Environment]:
    """The environments that the files describe, by id, parents before children.

    Raises `Invalid` with the issues of all files at once, each with its file's name.
    """
    found: dict[str, Environment] = {}
    issues: list[Issue] = []
    for file in _expanded(files):
        try:
            environment = from_document(_document(file))
        except Invalid as error:
            issues += [_of_file(issue, file) for issue in error.issues or (Issue(error.code, error.message),)]
            continue
        if environment.id in found:
            text = f"{file}: another file describes the environment {environment.id!r} too"
            issues.append(Issue("environment_twice", text))
        found[environment.id] = environment
    if issues:
        code = issues[0].code if len({issue.code for issue in issues}) == 1 else "invalid"
        raise Invalid("the files cannot be applied", code=code, issues=issues)
    return parents_first(found)


def parents_first(environments: Mapping[str, Environment]) -> dict[str, Environment]:
    """The same environments, each after those of them that it inherits (a cycle is left to the server)."""
    ordered: dict[str, Environment] = {}
    begun: set[str] = set()

    def visit(name: str) -> None:
        if name in begun or name not in environments:
            return
        begun.add(name)
        for parent in environments[name].inherits:
            visit(parent)
        ordered[name] = environments[name]

    for name in environments:
        visit(name)
    return ordered


def plan_edits(
    current: Mapping[str, Environment | None], wanted: Mapping[str, Environment]
) -> list[dict[str, Any]]:
    """The least edits that turn the one into the other, as they are sent."""
    from coreconfig.model.edits import edit_to_json
    from coreconfig.model.plans import plan

    return [edit_to_json(edit) for name in wanted for edit in plan(current[name], wanted[name])]


def _current(api: Api, name: str) -> Found:
    answer = api.find(Target(name).path(), "unknown_environment")
    if answer is None:
        return None, None
    return from_document(answer.body["environment"]), answer.body.get("revision", answer.revision)


def _nothing_to_change(out: Output, names: list[str]) -> int:
    if out.json:
        out.document({"state": "unchanged", "environments": names})
    else:
        out.note("nothing to change")
    return failure.DONE


def _expanded(files: Sequence[str]) -> list[str]:
    """The files themselves: a folder gives those in it that hold environments, in order of their names."""
    expanded: list[str] = []
    for name in files:
        if name != "-" and Path(name).is_dir():
            inside = sorted(str(path) for path in Path(name).iterdir() if path.suffix in _SUFFIXES)
            if not inside:
                raise Invalid(f"the folder {name} holds no YAML or JSON file", code="no_files")
            expanded += inside
        else:
            expanded.append(name)
    return expanded


def _document(file: str) -> Any:
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise Invalid(f"the file cannot be read: {error.strerror}", code="unreadable_file") from error
    if file.endswith(".json"):
        return decode_json(content, "file")
    return load(content, name="the file")


def _of_file(issue: Issue, file: str) -> Issue:
    where = "standard input" if file == "-" else file
    line, colon, reason = issue.message.partition(": ")
    if colon and line.startswith("line "):
        where = f"{where}: {line}"
    else:
        reason = issue.message
    at = where if failure.names_place(issue) else f"{where}: {issue.key}"
    return Issue(issue.code, f"{at}: {reason}", issue.severity, issue.key)
