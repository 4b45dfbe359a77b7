"""The server's own settings: typed, read once at the start, never from the configuration that it serves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from coreconfig.errors import Issue
from coreconfig.model.values import refuse


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an operator may set; times are in seconds, sizes in bytes."""

    database_url: str = "sqlite:///coreconfig.db"
    host: str = "127.0.0.1"
    port: int = 8400
    """0 takes a free port."""
    poll_interval: float = 1.0
    """How long a server may go without looking for revisions of which no notice reached it."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False
    """Something in front of the server speaks TLS, and its ``X-Forwarded-*`` headers are believed."""
    max_body: int = 1024 * 1024
    view_memory: int = 256 * 1024 * 1024
    """Up to how much the views of nobody who is connected are kept."""
    admission_rate: float = 500.0
    """New streams admitted in a second; beyond it a client is told when to come back."""
    shutdown_grace: float = 10.0
    """How long requests that run may take to end once the server was told to stop."""
    log_level: str = "info"

    def __post_init__(self) -> None:
        refuse(list(_faults(self)), "the server's settings cannot be used")


def _faults(settings: Settings) -> list[Issue]:
    checks = (
        ("port", 0 <= settings.port <= 65_535, "a port is a number from 0 to 65535"),
        (
            "poll_interval",
            0 < settings.poll_interval <= 60,
            "an interval is more than 0 and at most 60 seconds",
        ),
        ("max_body", settings.max_body > 0, "a size is more than 0 bytes"),
        ("view_memory", settings.view_memory >= 0, "a size is not negative"),
        ("admission_rate", settings.admission_rate > 0, "a rate is more than 0 in a second"),
        ("shutdown_grace", settings.shutdown_grace >= 0, "a time is not negative"),
        (
            "tls_key",
            (settings.tls_cert is None) == (settings.tls_key is None),
            "TLS needs certificate and key",
        ),
    )
    return [Issue("bad_setting", text, key=name) for name, holds, text in checks if not holds]
