"""What the four programs share: their options, how they print, and how they answer questions.

Nothing here is needed to use CoreConfig; it only lets a person (or `coreconfig demo`) watch the programs.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from coreconfig import Change, CoreConfig

# Settings of `global` that every service follows, whatever else it reads.
OPERATIONS = ["logging.*", "metrics.*", "health.*"]


def options(service: str) -> argparse.Namespace:
    """Where to read configuration from; the environment has no default, so that nobody reads a wrong one."""
    parser = argparse.ArgumentParser(prog=service, description=f"{service} of the trading platform")
    environment = os.environ.get("CORECONFIG_ENVIRONMENT")
    parser.add_argument("--environment", default=environment, required=environment is None)
    parser.add_argument("--url", default=os.environ.get("CORECONFIG_URL", "http://127.0.0.1:8400"))
    parser.add_argument(
        "--ask", action="store_true", help="read keys from standard input and print their values"
    )
    return parser.parse_args()


def say(text: str) -> None:
    """One line at once, with the name of the program before it."""
    print(f"[{Path(sys.argv[0]).stem.replace('_', '-')}] {text}", flush=True)


def shown(value: Any) -> str:
    """A value as it stands in files and on the command line: JSON."""
    return json.dumps(value, sort_keys=True)


def say_change(change: Change) -> None:
    """What a watch was told."""
    now = "(gone)" if change.operation == "DELETE" else shown(change.new_value)
    say(f"{change.key}: {shown(change.old_value)} -> {now} (revision {change.revision})")


def run(config: CoreConfig, *, ask: bool) -> None:
    """Stay up until somebody stops the program; with `ask`, answer questions until nobody is there to ask."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    config.watch(OPERATIONS, say_change)
    say(f"ready (revision {config.revision}, {config.availability.name})")
    try:
        if ask:
            answer(config)
        else:
            signal.pause()
    except KeyboardInterrupt:
        say("stopped")


def answer(config: CoreConfig) -> None:
    """Each line of standard input is a key; what it is now is printed. A read never touches the network.

    The availability says how good it is: CURRENT while the server is heard, CACHED while it is not.
    """
    for line in sys.stdin:
        key = line.strip()
        value = shown(config.get(key)) if key in config else "(absent)"
        say(f"? {key} = {value} (revision {config.revision}, {config.availability.name})")
