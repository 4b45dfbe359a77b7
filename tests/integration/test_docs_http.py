"""The operations in the documentation are those that the server describes."""

from __future__ import annotations

import re
from pathlib import Path

from coreconfig.testing.server import InProcessServer

PAGE = (Path(__file__).parents[2] / "docs/reference/http.md").read_text("utf-8")
ROW = re.compile(r"^\| `([A-Z]+ /[^`]*)` \|([^|]*)\| ([^|]+) \|$", re.MULTILINE)


def test_every_operation_is_documented_with_its_query_and_none_that_is_not_there(
    server: InProcessServer,
) -> None:
    """Method, path and query parameters, as `/openapi.json` has them."""
    assert server.app is not None
    described = {
        f"{method.upper()} {path}": {one["name"] for one in operation["parameters"] if one["in"] == "query"}
        for path, methods in server.app.openapi()["paths"].items()
        for method, operation in methods.items()
    }
    documented = {row[0]: set(re.findall(r"`(\w+)`", row[1])) for row in ROW.findall(PAGE)}
    assert documented == described


def test_no_operation_is_documented_twice() -> None:
    """Each has one row."""
    rows = [row[0] for row in ROW.findall(PAGE)]
    assert len(rows) == len(set(rows))
