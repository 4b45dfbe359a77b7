"""Settings of the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from coreconfig.errors import Invalid
from coreconfig.server.settings import Settings


def test_the_defaults_are_for_a_laptop() -> None:
    """Loopback, a file beside the caller, the port that the documentation names."""
    settings = Settings()
    assert (settings.host, settings.port, settings.database_url) == (
        "127.0.0.1",
        8400,
        "sqlite:///coreconfig.db",
    )


def test_every_fault_is_reported_at_once() -> None:
    """The person who starts the server corrects all in one go."""
    with pytest.raises(Invalid) as caught:
        Settings(port=70_000, poll_interval=0, tls_cert=Path("cert.pem"))
    assert [issue.key for issue in caught.value.issues] == ["port", "poll_interval", "tls_key"]
    assert {issue.code for issue in caught.value.issues} == {"bad_setting"}
