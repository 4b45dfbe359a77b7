"""What a caller may do. Pure functions; recording is the business of `coreconfig.server.audit`.

- A service token reads the view of its own service in its environments, with explanation and history, and
  connects as an instance of just that. It proposes, into its own layer, only if it holds ``editor``.
- Everybody else reads what the environments and key patterns of the token take in. ``editor`` proposes;
  ``admin`` may do everything; ``admin`` and ``security-admin`` administer tokens.
- A foreign object is answered exactly like a missing one, so that nobody can ask what exists.
"""

from __future__ import annotations

from collections.abc import Callable

from coreconfig.errors import CoreConfigError, Denied, NotFound
from coreconfig.model.keys import Path
from coreconfig.model.trees import Tree, is_object
from coreconfig.server.access.actions import Action, Target
from coreconfig.server.access.caller import ADMIN, ANY, EDITOR, OPERATOR, SECURITY_ADMIN, Caller

WITHHELD = "(withheld)"
"""Stands where a value is that the caller may not read."""


class Refused(Denied):
    """A known caller was refused; carries what the audit records."""

    def __init__(self, message: str, caller: Caller, action: Action, target: Target) -> None:
        super().__init__(message)
        self.caller, self.action, self.target = caller, action, target


class Concealed(NotFound):
    """The same, told as if the object did not exist."""

    def __init__(self, message: str, code: str, caller: Caller, action: Action, target: Target) -> None:
        super().__init__(message, code=code)
        self.caller, self.action, self.target = caller, action, target


def may_read(caller: Caller, environment: str, service: str | None = None, path: Path = ()) -> bool:
    """Whether the caller may read resolved values there; for the root, any of them."""
    if not caller.in_scope(environment):
        return False
    if caller.kind == "service":
        return service == caller.service
    return bool(caller.roles) and (not path or caller.covers(path))


def may_read_whole(caller: Caller, environment: str, service: str | None = None) -> bool:
    """Whether nothing of that view has to be withheld."""
    return may_read(caller, environment, service) and (caller.kind == "service" or caller.covers(()))


def may_write(caller: Caller, environment: str, service: str | None = None, path: Path = ()) -> bool:
    """Whether the caller may propose an edit of the layer (`service` None: the base layer) at this path."""
    if not caller.in_scope(environment) or not caller.has(EDITOR):
        return False
    if caller.kind == "service" and service != caller.service:
        return False
    return caller.covers(path)


def may_shape(caller: Caller, environment: str) -> bool:
    """Whether the caller may propose to create, change or delete this environment as such."""
    return caller.kind != "service" and may_write(caller, environment) and caller.covers(())


def may_administer(caller: Caller) -> bool:
    """Whether the caller may list, create and revoke tokens."""
    return caller.kind != "service" and caller.has(ADMIN, SECURITY_ADMIN)


def may_operate(caller: Caller) -> bool:
    """Whether the caller may steer what is running: rollouts, instances."""
    return caller.kind != "service" and caller.has(OPERATOR)


def may_connect(caller: Caller, environment: str, service: str) -> bool:
    """Whether the caller may be an instance of this service; its view is sent whole or not at all."""
    if caller.kind == "service":
        return caller.in_scope(environment) and caller.service == service
    return may_read_whole(caller, environment, service)


def _is_person(caller: Caller) -> bool:
    return caller.kind != "service" and bool(caller.roles)


def may(caller: Caller, action: Action, target: Target) -> bool:
    """The one table from action to rule."""
    environment, service, path = target.environment or "", target.service, target.path
    rules: dict[Action, Callable[[], bool]] = {
        Action.READ_CONFIGURATION: lambda: may_read(caller, environment, service, path),
        Action.READ_ENVIRONMENT: lambda: _is_person(caller) and may_read(caller, environment),
        Action.READ_LOG: lambda: _is_person(caller),
        Action.READ_FLEET: lambda: _is_person(caller),
        Action.READ_CHANGES: lambda: _is_person(caller),
        Action.PROPOSE: lambda: may_write(caller, environment, service, path),
        Action.SHAPE_ENVIRONMENT: lambda: may_shape(caller, environment),
        Action.CONNECT: lambda: may_connect(caller, environment, service or ""),
        Action.ADMINISTER_TOKENS: lambda: may_administer(caller),
        Action.BEGIN_EPOCH: lambda: may_operate(caller) and caller.in_scope(ANY) and caller.covers(()),
    }
    return rules[action]()


def refusal(caller: Caller, action: Action, target: Target) -> CoreConfigError:
    """How a caller is told that it may not: foreign things look missing, its own are named."""
    environment, service = target.environment, target.service
    if environment is not None and not caller.in_scope(environment):
        message = f"there is no environment {environment!r}"
        return Concealed(message, "unknown_environment", caller, action, target)
    if caller.kind == "service" and service is not None and service != caller.service:
        message = f"there is no service {service!r} that this token may see"
        return Concealed(message, "unknown_service", caller, action, target)
    return Refused(_why(caller, action, target), caller, action, target)


def demand(caller: Caller, action: Action, target: Target = Target()) -> None:  # noqa: B008 - it is immutable
    """Raise the refusal unless the caller may."""
    if not may(caller, action, target):
        raise refusal(caller, action, target)


def absence(caller: Caller, error: NotFound) -> NotFound:
    """What a caller is told of something that is not there: a service not which others there are."""
    if caller.kind == "service" and error.code == "unknown_service":
        return NotFound(f"there is no service {caller.service!r} that this token may see", code=error.code)
    return error


def demand_read(caller: Caller, environment: str, service: str | None = None, path: Path = ()) -> None:
    """Raise unless the caller may read resolved values there; for the root, any of them."""
    demand(caller, Action.READ_CONFIGURATION, Target(environment, service, path))


def cut(caller: Caller, environment: str, service: str | None, node: object, at: Path = ()) -> object:
    """What the caller may see of a resolved node at a path: leaves that no pattern grants are left out."""
    if not may_read(caller, environment, service):
        return {} if is_object(node) else WITHHELD
    if caller.kind == "service" or caller.covers(at):
        return node
    if not is_object(node):
        return WITHHELD
    return _granted(caller, node, at)


def _granted(caller: Caller, node: Tree, at: Path) -> Tree:
    kept: dict[str, object] = {}
    for name, child in node.items():
        here = (*at, name)
        if caller.covers(here):
            kept[name] = child
        elif is_object(child) and (inner := _granted(caller, child, here)):
            kept[name] = inner
    return kept


def _why(caller: Caller, action: Action, target: Target) -> str:
    """What is missing, for the person who can ask for it."""
    if caller.kind == "service" and action is Action.READ_CONFIGURATION:
        return f"a service token reads the view of its own service only: ask for services/{caller.service}"
    if caller.kind == "service" and caller.has(EDITOR) and action is Action.PROPOSE:
        return f"a service token writes into the layer of its own service only: {caller.service}"
    if target.path and not caller.covers(target.path):
        return f"this token is limited to some keys, and {target} is none of them"
    needed = {
        Action.PROPOSE: "the role editor",
        Action.SHAPE_ENVIRONMENT: "the role editor for all keys of the environment",
        Action.ADMINISTER_TOKENS: "the role admin or security-admin",
        Action.BEGIN_EPOCH: "the role operator for all environments",
        Action.CONNECT: "a token of that service, or one that reads its whole view",
    }.get(action, "the token of a person with a role such as viewer")
    return f"{caller.principal} may not do this ({action.value}): it needs {needed}"
