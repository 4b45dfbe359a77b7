"""Runs one command and turns however it ends into an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from coreconfig.cli import failure
from coreconfig.cli.root import root
from coreconfig.errors import CoreConfigError


def run(arguments: Sequence[str]) -> int:
    """The exit status of the command that `arguments` spell; errors are printed to standard error."""
    try:
        told = root.main(list(arguments), prog_name="coreconfig", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return failure.USAGE
    except click.exceptions.Exit as done:
        return done.exit_code
    except (click.Abort, KeyboardInterrupt):
        return failure.INTERRUPTED
    except CoreConfigError as error:
        failure.report(error, as_json="--json" in arguments)
        return failure.status_of(error)
    except BrokenPipeError:
        # the reader (`head`, a pager) has seen enough; nothing more can be written, also not at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return failure.FAILED
    except OSError as error:
        failure.report(_unusable(error), as_json="--json" in arguments)
        return failure.FAILED
    return told if isinstance(told, int) else failure.DONE


def _unusable(error: OSError) -> CoreConfigError:
    """A file or folder of the person's that cannot be read or written."""
    why = error.strerror or str(error)
    text = f"{error.filename} cannot be used: {why}" if error.filename else why
    return CoreConfigError(text, code="file_unusable")
