"""The server's own log: one line for each event on stderr, never on stdout, never with a secret.

Requests are logged by route template and status; headers, bodies, query strings and values never are.
"""

from __future__ import annotations

import logging
import sys
from typing import Final

import structlog
from structlog.types import Processor

_SHARED: Final[tuple[Processor, ...]] = (
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose events have named members; it goes through the standard library, so that it is silent
    wherever nobody called `configure`.
    """
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return logger


def configure(level: str) -> None:
    """Send our own events and those of the libraries through one formatter.

    A terminal gets lines for people, anything else gets JSON.
    """
    out = logging.StreamHandler(sys.stderr)
    out.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_SHARED, processors=_last_steps()))
    root = logging.getLogger()
    root.handlers[:] = [out]
    root.setLevel(level.upper())
    logging.getLogger("alembic").setLevel(logging.WARNING)
    library = logging.getLogger("uvicorn.error")
    library.setLevel(max(logging.WARNING, root.level))
    library.addFilter(_no_false_alarm)


def _no_false_alarm(record: logging.LogRecord) -> bool:
    """uvicorn takes a handshake that was refused with an HTTP answer for one that was never answered."""
    return record.msg != "ASGI callable returned without completing handshake."


def _last_steps() -> list[Processor]:
    """A traceback is plain text: with local variables it would show values and secrets."""
    people = sys.stderr.isatty()
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(0, exception_formatter=structlog.dev.plain_traceback)
        if people
        else structlog.processors.JSONRenderer()
    )
    traceback: list[Processor] = [] if people else [structlog.processors.format_exc_info]
    return [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *traceback, renderer]
