"""Every error code that the sources can give, found by reading them.

A code is what stands as ``code=`` or ``default_code``, in a table whose name ends in CODES, FINDINGS or
TROUBLE, as the argument for a parameter or field named ``code`` of our own, or beside its sentence in a pair.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import coreconfig

SOURCES = Path(coreconfig.__file__).parent

COMPOSED = {
    "bad_{what}": ("bad_key", "bad_pattern"),
    "bad_{name}": ("bad_operation",),
    "missing_{what}": ("missing_service", "missing_environment"),
}
"""What codes that are put together can be; a new way to put one together has to be listed here."""

_CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")
_TABLE = re.compile(r"_?(\w+_)?(CODES|FINDINGS|TROUBLE)\Z")


def used_codes() -> dict[str, set[str]]:
    """Each code and the files that it stands in."""
    trees = {file: _read(file) for file in sorted(SOURCES.rglob("*.py"))}
    takers = {file: set(_takers(tree)) for file, tree in trees.items()}
    public = {one for own in takers.values() for one in own if one[0][0] != "_"}
    found: dict[str, set[str]] = defaultdict(set)
    for file, tree in trees.items():
        for node in ast.walk(tree):
            for code in _codes_at(node, public | takers[file]):
                found[code].add(str(file.relative_to(SOURCES)))
    return dict(found)


def _read(file: Path) -> ast.Module:
    """A module with its own texts in the place of their names."""
    tree = ast.parse(file.read_text("utf-8"))
    texts = {
        target.id: line.value
        for line in tree.body
        if isinstance(line, ast.Assign) and isinstance(line.value, ast.Constant)
        for target in line.targets
        if isinstance(target, ast.Name) and isinstance(line.value.value, str)
    }
    return _Named(texts).visit(tree)  # type: ignore[no-any-return]  # a module stays one


class _Named(ast.NodeTransformer):
    def __init__(self, texts: dict[str, ast.Constant]) -> None:
        self._texts = texts

    def visit_Name(self, node: ast.Name) -> ast.expr:  # the name that ast looks for
        return self._texts.get(node.id, node) if isinstance(node.ctx, ast.Load) else node


def _takers(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Functions and classes that take a `code`, and its place among the arguments of a call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name != "__init__":
            names = [argument.arg for argument in node.args.args]
        elif isinstance(node, ast.ClassDef):
            names = [
                line.target.id
                for line in node.body
                if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
            ]
        else:
            continue
        if "code" in names:
            yield node.name, names.index("code") - (names[0] in ("self", "cls"))


def _codes_at(node: ast.AST, takers: set[tuple[str, int]]) -> Iterator[str]:
    if isinstance(node, ast.Call):
        yield from _in_call(node, takers)
    elif isinstance(node, ast.Return | ast.Assign | ast.AnnAssign) and node.value is not None:
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        if "default_code" in names:
            yield from _texts(node.value)
        elif any(map(_TABLE.match, names)):
            yield from _table(node.value)
        elif isinstance(node.value, ast.Tuple):
            yield from _pair(node.value.elts)
    elif isinstance(node, ast.AugAssign):
        yield from _more_of_a_table(node)


def _more_of_a_table(node: ast.AugAssign) -> Iterator[str]:
    """``CODES |= dict.fromkeys(…, code)``."""
    is_table = isinstance(node.target, ast.Name) and _TABLE.match(node.target.id)
    if is_table and isinstance(node.value, ast.Call):
        yield from _texts(node.value.args[-1])


def _in_call(node: ast.Call, takers: set[tuple[str, int]]) -> Iterator[str]:
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    for place, argument in enumerate(node.args):
        if (name, place) in takers:
            yield from _texts(argument)
    if name == "ValueError":
        yield from _pair(node.args)
    for keyword in node.keywords:
        if keyword.arg == "code":
            yield from _texts(keyword.value)


def _pair(parts: Sequence[ast.expr]) -> Iterator[str]:
    """A code and its sentence, side by side."""
    is_pair = len(parts) == 2 and isinstance(parts[1], ast.Constant | ast.JoinedStr)
    if is_pair and " " in ast.unparse(parts[1]):
        yield from _texts(parts[0])


def _texts(node: ast.expr) -> Iterator[str]:
    """The codes that an expression can be: a constant, both sides of a choice, the default of a look-up."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and _CODE.match(node.value):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield from COMPOSED[ast.unparse(node)[2:-1]]
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from _texts(value)
    elif isinstance(node, ast.Call):
        for argument in node.args[1:]:
            yield from _texts(argument)


def _table(node: ast.expr) -> Iterator[str]:
    """The codes in a table: the values of a dict, the second of each tuple."""
    if isinstance(node, ast.Dict):
        for value in node.values:
            yield from _texts(value)
    elif isinstance(node, ast.Tuple | ast.List):
        for row in node.elts:
            if isinstance(row, ast.Tuple) and len(row.elts) > 1:
                yield from _texts(row.elts[1])
