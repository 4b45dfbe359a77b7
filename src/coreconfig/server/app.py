"""The composition root: what one server is made of, and in which order it starts and stops.

`build` makes everything, in the order in which things need each other, and opens the database; nothing runs
yet. The lifespan of the application then starts what runs: tokens, the replica of the log, instance rows, the
hub; and stops them in the opposite order, so that sessions are sent home before their world stands still.

Routes find the `Services` object at ``request.app.state.services``, seen through a protocol that their layer
may know (`coreconfig.server.web.services`).
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from coreconfig import __version__
from coreconfig.errors import CoreConfigError
from coreconfig.server import status
from coreconfig.server.access.decisions import Concealed, Refused
from coreconfig.server.audit.guard import record_refusal
from coreconfig.server.changes import routes as changes
from coreconfig.server.changes.commands import Proposals
from coreconfig.server.db.database import Database
from coreconfig.server.delivery import routes as delivery
from coreconfig.server.delivery.admission import Admission
from coreconfig.server.delivery.exchange import Exchange
from coreconfig.server.delivery.hub import Hub
from coreconfig.server.delivery.views import ViewStore
from coreconfig.server.environments import routes as environments
from coreconfig.server.fleet import routes as fleet
from coreconfig.server.fleet.instances import Instances
from coreconfig.server.fleet.rows import InstanceRows
from coreconfig.server.identity import routes as identity
from coreconfig.server.identity.gate import Gate
from coreconfig.server.identity.keyring import Keyring
from coreconfig.server.logs import get_logger
from coreconfig.server.metrics import Metrics
from coreconfig.server.recovery import routes as recovery
from coreconfig.server.revisions import routes as revisions
from coreconfig.server.revisions.replica import Replica
from coreconfig.server.revisions.rows import LogRow
from coreconfig.server.revisions.world import World
from coreconfig.server.settings import Settings
from coreconfig.server.web import errors, openapi, pages
from coreconfig.server.web.envelope import Envelope
from coreconfig.server.web.errors import error_response
from coreconfig.server.web.operations import Operation

log = get_logger("coreconfig.server")


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that one server is made of."""

    settings: Settings
    metrics: Metrics
    database: Database
    tokens: Keyring
    replica: Replica
    proposals: Proposals
    views: ViewStore
    instances: Instances
    rows: InstanceRows
    exchange: Exchange
    hub: Hub


def build(settings: Settings) -> Services:
    """Make everything and open the database. Raises what `Database.open` raises; nothing runs yet."""
    database = Database.open(settings.database_url)
    metrics = Metrics()
    replica = Replica(database, poll_interval=settings.poll_interval)
    views = ViewStore(replica, budget=settings.view_memory)
    instances = Instances()
    exchange = Exchange(database, replica, views, instances, metrics)
    return Services(
        settings=settings,
        metrics=metrics,
        database=database,
        tokens=Keyring(database),
        replica=replica,
        proposals=Proposals(database, replica),
        views=views,
        instances=instances,
        rows=InstanceRows(database, instances, f"server-{secrets.token_hex(4)}"),
        exchange=exchange,
        hub=Hub(exchange, metrics, admission=Admission(settings.admission_rate)),
    )


def create_app(settings: Settings) -> FastAPI:
    """The application over services of its own. Raises what `build` raises."""
    return application(build(settings))


def application(services: Services) -> FastAPI:
    """The application over these services; it closes them when its lifespan ends."""
    app = FastAPI(
        title="CoreConfig",
        version=__version__,
        description="Configuration that reaches running services.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(services),
    )
    app.state.services = services
    app.router.routes.extend(_routes(services))
    errors.install(app)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(Concealed, _refused)
    # the last one added is the outermost
    app.add_middleware(Gate, keyring=services.tokens, metrics=services.metrics, public=_public_paths(app))
    app.add_middleware(Envelope, metrics=services.metrics)
    described = openapi.document(app)
    app.openapi = lambda: described  # type: ignore[method-assign]  # FastAPI's documented way to replace it
    return app


def _routes(services: Services) -> list[Any]:
    return [
        *pages.routes(),
        *status.routes(services),
        *environments.routes(),
        *changes.routes(),
        *delivery.routes(services),
        *fleet.routes(),
        *revisions.routes(),
        *identity.routes(services),
        *recovery.routes(),
    ]


def _public_paths(app: FastAPI) -> frozenset[str]:
    operations = (route for route in app.routes if isinstance(route, Operation))
    return frozenset(operation.path for operation in operations if operation.documentation.public)


def _lifespan(services: Services) -> Any:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as running:
            running.callback(services.database.close)
            _connect(services)
            for part in (services.tokens, services.replica, services.rows, services.hub):
                await part.start()
                running.push_async_callback(part.stop)
            world = services.replica.world
            log.info("ready", revision=world.revision, epoch=world.epoch, open_mode=services.tokens.is_open)
            yield
            log.info("stopping")

    return lifespan


def _connect(services: Services) -> None:
    """Who is told of what."""
    metrics, hub = services.metrics, services.hub

    def measure(before: World, after: World, row: LogRow) -> None:
        metrics.commits.inc()
        metrics.revision.set(after.revision)
        metrics.epoch.set(after.epoch)

    services.replica.on_advance(hub.advanced)
    services.replica.on_advance(measure)
    services.database.listen(services.replica.notice)
    services.tokens.on_end(hub.close_token)


async def _refused(request: Request, error: Exception) -> Response:
    """A refusal of a known caller goes into the audit; its own transaction was rolled back with it."""
    assert isinstance(error, Refused | Concealed)  # noqa: S101 - it is registered for these classes
    database: Database = request.app.state.services.database
    try:
        await database.writing(lambda tx: record_refusal(tx, error))
    except CoreConfigError:
        # it is refused all the same; the log has what the audit could not take
        log.exception("a refusal could not be recorded", principal=error.caller.principal)
    return error_response(error)
