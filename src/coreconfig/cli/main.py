"""Where the program begins: answers `--version` at once, loads everything else when it is needed."""

from __future__ import annotations

import sys

from coreconfig import __version__


def main() -> None:
    """Run the command line and exit with its status."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        print(f"coreconfig {__version__}")
        return
    from coreconfig.cli.run import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
