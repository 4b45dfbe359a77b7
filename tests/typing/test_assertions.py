"""The types that the public reads promise, as mypy sees them."""

from __future__ import annotations

from pathlib import Path

import pytest
from mypy import api

HERE = Path(__file__).parent
CASES = sorted(path for path in HERE.glob("*.py") if not path.name.startswith("test_"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_a_type_checker_sees_what_is_promised(case: Path) -> None:
    """Each `assert_type` holds, and each line marked as wrong is found to be."""
    settings = HERE.parent.parent / "pyproject.toml"
    out, complaints, status = api.run(["--config-file", str(settings), "--warn-unused-ignores", str(case)])
    assert status == 0, out + complaints
