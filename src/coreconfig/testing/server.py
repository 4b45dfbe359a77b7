"""A real server inside the process of a test: real sockets, a real database, a thread of its own."""

from __future__ import annotations

import shutil
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import uvicorn
from fastapi import FastAPI

from coreconfig.errors import CoreConfigError
from coreconfig.server.app import Services, build
from coreconfig.server.serve import Server, address_of, bind, configuration
from coreconfig.server.settings import Settings

START_SECONDS = 30.0
STOP_SECONDS = 30.0


class InProcessServer:
    """A server on a free loopback port, with an SQLite file that goes away with it.

    ```python
    with InProcessServer() as server:
        config = CoreConfig(service_id="shop", environment="dev", url=server.url)
    ```

    `settings` may say where the database is; then it stays. `restart` keeps database and port, so that
    clients find the server again. Nothing is logged by it.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._folder: Path | None = None
        if settings is None:
            self._folder = Path(tempfile.mkdtemp(prefix="coreconfig-"))
            settings = Settings(
                database_url=f"sqlite:///{self._folder / 'server.db'}", port=0, shutdown_grace=2.0
            )
        self.settings = settings
        self._server: Server | None = None
        self._services: Services | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self.url = ""
        self.app: FastAPI | None = None
        """The application of the last start."""

    @property
    def services(self) -> Services:
        """What the running server is made of, for tests that look inside."""
        if self._services is None:
            raise CoreConfigError("the server is not running", code="not_running")
        return self._services

    @property
    def port(self) -> int:
        """The port that it listens on; 0 before the first start."""
        return self.settings.port

    def start(self) -> Self:
        """Start, and return once it answers. Raises what the server raises when it cannot start."""
        listening = bind(self.settings.host, self.settings.port)
        try:
            self.settings = replace(self.settings, port=listening.getsockname()[1])
            self.url = address_of(listening)
            self._services = build(self.settings)
            answers = threading.Event()
            config = configuration(self._services)
            self.app = cast("FastAPI", config.app)
            self._server = Server(config, lambda _: answers.set())
            self._thread = threading.Thread(
                target=self._run,
                args=(self._server, listening, answers),
                name="coreconfig-server",
                daemon=True,
            )
        except BaseException:
            listening.close()
            raise
        self._failure = None
        self._thread.start()
        self._await_start(answers)
        return self

    def _run(self, server: uvicorn.Server, listening: object, answers: threading.Event) -> None:
        try:
            server.run(sockets=[listening])  # type: ignore[list-item]  # a socket, as `bind` made it
        except (Exception, SystemExit) as error:  # noqa: BLE001 - handed to the thread that waits for the start
            self._failure = error
        finally:
            answers.set()

    def _await_start(self, answers: threading.Event) -> None:
        in_time = answers.wait(START_SECONDS)
        if in_time and self._server is not None and self._server.started:
            return
        reason = repr(self._failure) if in_time else f"it did not answer within {START_SECONDS} s"
        self.stop()
        raise CoreConfigError(f"the server did not start: {reason}", code="not_started") from self._failure

    def stop(self) -> None:
        """Shut down gracefully: streams are told, what runs may end, the database is closed."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS)
        if self._thread.is_alive():
            raise CoreConfigError(f"the server did not stop within {STOP_SECONDS} s", code="not_stopped")
        self._server = self._thread = self._services = None

    def restart(self) -> Self:
        """Stop and start again on the same port over the same database."""
        self.stop()
        return self.start()

    def close(self) -> None:
        """Stop, and take away the database that was made for this server."""
        self.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
