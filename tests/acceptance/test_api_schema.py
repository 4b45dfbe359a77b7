"""Every operation of the interface does what its description says, whatever is sent to it.

Requests are generated from ``/openapi.json``: the examples, the corners of every schema, random ones that fit
and that do not, and sequences in which one answer feeds the next request. The suite takes a few of each;
`script/fuzz` takes many.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.http_api import client, create, new_token

from coreconfig.testing.server import InProcessServer

ROOT = Path(__file__).parents[2]
EXAMPLES = os.environ.get("CORECONFIG_FUZZ_EXAMPLES", "12")
SEED = os.environ.get("CORECONFIG_FUZZ_SEED", "1")
"""Repeatable in the suite; `script/fuzz` draws another one each time."""


@pytest.fixture
def admin(server: InProcessServer) -> str:
    """The token of an administrator of a server that has something to read."""
    with client(server) as http:
        create(http, "global", overrides={"configuration": {"risk": {"maxPositionSize": 1}}})
        risk = {"risk": {"maxPositionSize": 2}}
        services = {"trading-engine": {"configuration": risk}}
        # what the examples of the description name
        create(
            http,
            "trading-demo",
            inherits=["global"],
            overrides={"configuration": risk},
            services=services,
        )
        return new_token(http, name="root", roles=["admin"])


def test_every_operation_keeps_to_its_description(
    server: InProcessServer, admin: str, tmp_path: Path
) -> None:
    """No 500, no undocumented status, body, header or media type; what fits is taken, the rest not."""
    command = [sys.executable, "-m", "schemathesis.cli", "--no-color"]
    command += ["--config-file", str(ROOT / "schemathesis.toml"), "run", f"{server.url}/openapi.json"]
    command += ["--header", f"Authorization: Bearer {admin}", "--max-examples", EXAMPLES, "--seed", SEED]
    command += ["--phases", "examples,coverage,fuzzing,stateful", "--continue-on-failure"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=3600, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    with client(server, admin) as http:
        described = http.get("/openapi.json").json()
        assert http.get("/readyz").status_code == 200
    others = [path for path in described["paths"] if path != "/openapi.json"]
    count = sum(len(described["paths"][path]) for path in others)
    assert f"Tested: {count}" in done.stdout
