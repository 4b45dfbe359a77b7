"""``/v1/tokens``: list, create, revoke."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, RootModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from coreconfig.server.access.actions import Action
from coreconfig.server.access.caller import ANY, caller_of
from coreconfig.server.access.decisions import demand
from coreconfig.server.identity import commands
from coreconfig.server.identity.keyring import Keyring
from coreconfig.server.identity.queries import all_tokens
from coreconfig.server.identity.tokens import TokenRecord
from coreconfig.server.web.bodies import read_json, to_model
from coreconfig.server.web.models import Answer, Body
from coreconfig.server.web.operations import Operation
from coreconfig.server.web.parameters import TOKEN
from coreconfig.server.web.responses import json_response
from coreconfig.server.web.services import Transactions

Name = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._@+-]{0,62}$")]
Role = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
ServiceId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
EnvironmentScope = Annotated[str, Field(pattern=r"^(\*|[a-z0-9][a-z0-9-]{0,62})$")]
_SEGMENT = r"(\*\*?|[A-Za-z0-9_-]{1,15})"
KeyPattern = Annotated[str, Field(json_schema_extra={"pattern": rf"^{_SEGMENT}(\.{_SEGMENT}){{0,7}}$"})]
Scope = Annotated[list[EnvironmentScope], Field(min_length=1, max_length=256)]


class PersonToken(Body):
    """The token of a person, or of a program that acts for people. Without `environments`: all of them."""

    name: Name
    roles: list[Role] = Field(min_length=1, max_length=32)
    environments: Scope = Field(default=[ANY])
    keys: list[KeyPattern] = Field(default=[], max_length=256)


class ServiceToken(Body):
    """The token of a service: it reads and reports for itself, and proposes if it holds `editor`."""

    name: Name
    service: ServiceId
    environments: Scope
    roles: list[Literal["editor"]] = Field(default=[], max_length=1)
    keys: list[KeyPattern] = Field(default=[], max_length=256)


class NewToken(RootModel[PersonToken | ServiceToken]):
    """What to create: with `service` the token of a service, else of a person with `roles`."""


class TokenAnswer(Answer):
    """A token without its secret."""

    id: str
    name: str
    kind: str
    service: str | None
    environments: list[str]
    roles: list[str]
    keys: list[str]
    author: str
    created_at: str
    revoked_at: str | None


class CreatedToken(TokenAnswer):
    """The only answer that ever holds the token itself."""

    token: str


class TokenList(Answer):
    """Every token, also revoked ones."""

    tokens: list[TokenAnswer]


class _Services(Protocol):
    @property
    def database(self) -> Transactions: ...
    @property
    def tokens(self) -> Keyring: ...


def routes(services: _Services) -> list[BaseRoute]:
    """The operations on tokens."""
    shop = _Counter(services)
    return [
        Operation(
            "GET",
            "/v1/tokens",
            shop.list,
            id="list_tokens",
            tag="access",
            summary="List all tokens",
            answers={200: TokenList},
        ),
        Operation(
            "POST",
            "/v1/tokens",
            shop.create,
            id="create_token",
            tag="access",
            summary="Create a token; its text is in this answer only",
            body=NewToken,
            answers={201: CreatedToken},
            errors=(507,),
        ),
        Operation(
            "DELETE",
            "/v1/tokens/{token_id}",
            shop.revoke,
            id="revoke_token",
            tag="access",
            summary="Revoke a token; sessions that it opened end",
            answers={200: TokenAnswer},
            errors=(404, 409, 507),
        ),
    ]


class _Counter:
    """Where tokens are handed out and taken back."""

    def __init__(self, services: _Services) -> None:
        self._database = services.database
        self._keyring = services.tokens

    async def list(self, request: Request) -> Response:
        demand(caller_of(request), Action.ADMINISTER_TOKENS)
        records = await self._database.reading(all_tokens)
        return json_response({"tokens": [_shown(record) for record in records]})

    async def create(self, request: Request) -> Response:
        caller = caller_of(request)
        demand(caller, Action.ADMINISTER_TOKENS)
        grant = _grant(await read_json(request))
        record, text = await self._database.writing(lambda tx: commands.create(tx, caller, grant))
        await self._keyring.refresh()
        return json_response({**_shown(record), "token": text}, status=201)

    async def revoke(self, request: Request) -> Response:
        caller, public = caller_of(request), TOKEN.of(request)
        demand(caller, Action.ADMINISTER_TOKENS)
        record = await self._database.writing(lambda tx: commands.revoke(tx, caller, public))
        await self._keyring.refresh()
        return json_response(_shown(record))


def _grant(said: Any) -> commands.Grant:
    """What the body asks for; a `service` in it decides which of the two shapes it is held against."""
    if isinstance(said, dict) and "service" in said:
        wanted = to_model(said, ServiceToken)
        return commands.Grant(wanted.name, wanted.roles, wanted.service, wanted.environments, wanted.keys)
    person = to_model(said, PersonToken)
    return commands.Grant(person.name, person.roles, None, person.environments, person.keys)


def _shown(record: TokenRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "kind": record.kind,
        "service": record.service,
        "environments": record.environments,
        "roles": record.roles,
        "keys": record.keys,
        "author": record.author,
        "created_at": record.created_at,
        "revoked_at": record.revoked_at,
    }
