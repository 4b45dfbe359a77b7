"""Creating and revoking tokens, each decided and recorded in the transaction that does it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, update

from coreconfig.errors import Conflict, Denied, Invalid, Issue, NotAuthenticated, NotFound
from coreconfig.model.keys import check_id, parse_pattern
from coreconfig.model.values import refuse
from coreconfig.server.access.actions import Action, Target
from coreconfig.server.access.caller import ADMIN, ANY, EDITOR, SECURITY_ADMIN, Caller
from coreconfig.server.audit.guard import guard
from coreconfig.server.db.dialects import take_turn
from coreconfig.server.identity.queries import all_tokens
from coreconfig.server.identity.tables import token
from coreconfig.server.identity.tokens import TokenRecord, hash_of, mint

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@+-]{0,62}")
_ROLE = re.compile(r"[a-z][a-z0-9-]{0,62}")
_RESERVED_NAMES = frozenset({"local", "system", "coreconfig"})


@dataclass(frozen=True, slots=True)
class Grant:
    """What a new token is to be: of a service, or of a person with roles."""

    name: str
    roles: Sequence[str] = ()
    service: str | None = None
    environments: Sequence[str] = (ANY,)
    keys: Sequence[str] = ()


def create(tx: Connection, caller: Caller, grant: Grant) -> tuple[TokenRecord, str]:
    """Store a new token; gives the record, and the text that is shown this once.

    The first one ends open mode and has to be an admin's, else nobody could create the second. Raises
    `Invalid` (``bad_token``, ``first_token_admin``) and `Denied` (``denied``, ``grant_exceeds_own``).
    """
    refuse(_faults(grant), "the token cannot be created")
    detail = {"operation": "create", **_summary(grant)}
    guard(tx, caller, Action.ADMINISTER_TOKENS, Target(name=grant.name), detail)
    take_turn(tx, "tokens")
    existing = all_tokens(tx)
    _check_mode(caller, existing)
    if not existing:
        _check_first(grant)
    _check_within_own(caller, grant)
    public, text = mint()
    record = _record(public, text, caller, grant)
    tx.execute(insert(token).values(_row(record)))
    return record, text


def revoke(tx: Connection, caller: Caller, public: str) -> TokenRecord:
    """End a token; one that has ended already stays as it is.

    Raises `NotFound` (``unknown_token``), `Conflict` (``last_admin``) and `Denied`.
    """
    guard(tx, caller, Action.ADMINISTER_TOKENS, Target(name=public), {"operation": "revoke"})
    take_turn(tx, "tokens")
    existing = all_tokens(tx)
    _check_mode(caller, existing)
    found = next((record for record in existing if record.id == public), None)
    if found is None:
        raise NotFound(f"there is no token {public!r}", code="unknown_token")
    if found.revoked_at is not None:
        return found
    _check_may_end(caller, found, existing)
    ended = _now()
    tx.execute(update(token).where(token.c.id == public).values(revoked_at=ended))
    return next(record for record in all_tokens(tx) if record.id == public)


def _faults(grant: Grant) -> list[Issue]:
    faults: list[Issue] = []

    def check(holds: object, key: str, message: str) -> None:
        if not holds:
            faults.append(Issue("bad_token", message, key=key))

    is_name = _NAME.fullmatch(grant.name) and grant.name.lower() not in _RESERVED_NAMES
    check(is_name, "name", "a name has 1 to 63 letters, digits, spaces or ._@+- and is not a reserved one")
    check(all(map(_ROLE.fullmatch, grant.roles)), "roles", "a role is written with a-z, 0-9 and '-'")
    if grant.service is None:
        check(
            grant.roles, "roles", "give the role of a person, such as viewer, or the service that it is for"
        )
    else:
        check(set(grant.roles) <= {EDITOR}, "roles", "a service may have no role, or editor")
    check(grant.environments, "environments", "name environments, or * for all of them")
    return [*faults, *_scope_faults(grant)]


def _scope_faults(grant: Grant) -> list[Issue]:
    faults: list[Issue] = []
    ids = [("environment", "environments", name) for name in grant.environments if name != ANY]
    ids += [("service", "service", grant.service)] if grant.service is not None else []
    for what, key, name in ids:
        try:
            check_id(what, name)
        except Invalid as error:
            faults.append(Issue(error.code, error.message, key=key))
    for pattern in grant.keys:
        try:
            parse_pattern(pattern)
        except Invalid as error:
            faults.append(Issue(error.code, error.message, key="keys"))
    return faults


def _check_mode(caller: Caller, existing: list[TokenRecord]) -> None:
    """Open mode may have ended between the request's arrival and this transaction."""
    if caller.kind == "local" and existing:
        raise NotAuthenticated("a token exists since a moment ago, so one is needed now")


def _check_first(grant: Grant) -> None:
    unlimited = not grant.keys and ANY in grant.environments
    if grant.service is not None or ADMIN not in grant.roles or not unlimited:
        raise Invalid(
            "the first token ends open mode and has to be an administrator's, else nobody could create"
            ' another: give it "roles": ["admin"], for all environments and all keys',
            code="first_token_admin",
        )


def _check_within_own(caller: Caller, grant: Grant) -> None:
    """Nobody gives away more than they have."""
    if caller.is_admin:
        return
    wide = set(grant.roles) & {ADMIN, SECURITY_ADMIN}
    foreign = [name for name in grant.environments if not caller.in_scope(name)]
    if wide or foreign or caller.keys:
        raise Denied(
            f"{caller.principal} cannot give more than it has: an admin has to create this token",
            code="grant_exceeds_own",
        )


def _check_may_end(caller: Caller, found: TokenRecord, existing: list[TokenRecord]) -> None:
    if ADMIN not in found.roles:
        return
    if not caller.is_admin:
        raise Denied("only an admin revokes the token of an admin", code="grant_exceeds_own")
    others = [r for r in existing if ADMIN in r.roles and r.revoked_at is None and r.id != found.id]
    if not others:
        raise Conflict(
            "this is the last token of an admin, without which nobody could administer the server;"
            " create another one first",
            code="last_admin",
        )


def _record(public: str, text: str, caller: Caller, grant: Grant) -> TokenRecord:
    return TokenRecord(
        id=public,
        secret_hash=hash_of(text),
        name=grant.name,
        kind="user" if grant.service is None else "service",
        service=grant.service,
        environments=tuple(dict.fromkeys(grant.environments)),
        roles=tuple(dict.fromkeys(grant.roles)),
        keys=tuple(dict.fromkeys(grant.keys)),
        author=caller.principal,
        created_at=_now(),
    )


def _row(record: TokenRecord) -> dict[str, object]:
    lists = {name: json.dumps(list(getattr(record, name))) for name in ("environments", "roles", "keys")}
    plain = ("id", "secret_hash", "name", "kind", "service", "author", "created_at", "revoked_at")
    return {**{name: getattr(record, name) for name in plain}, **lists}


def _summary(grant: Grant) -> dict[str, object]:
    return {"roles": list(grant.roles), "service": grant.service, "environments": list(grant.environments)}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
