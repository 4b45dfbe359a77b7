"""Where the example lies: in the installed package, or beside the sources of a checkout."""

from __future__ import annotations

from pathlib import Path

import coreconfig
from coreconfig.errors import NotFound

_NAME = "trading-platform"


def example_folder() -> Path:
    """The folder of the trading platform's environments and services.

    An installed package carries it as ``coreconfig/examples``; a checkout has it under ``examples`` alone.
    """
    package = Path(coreconfig.__file__).parent
    for folder in (package / "examples" / _NAME, package.parents[1] / "examples" / _NAME):
        if (folder / "global.yaml").is_file():
            return folder
    raise NotFound(f"the example {_NAME} is not part of this installation", code="no_examples")
