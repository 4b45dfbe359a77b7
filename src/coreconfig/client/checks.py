"""What a candidate has to pass before it is applied: the program's checks, and its typed bindings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from coreconfig.client.config import Snapshot
from coreconfig.client.state import State
from coreconfig.errors import ConfigValidationError, Issue, NotReady
from coreconfig.model.keys import format_key, parse_key
from coreconfig.model.trees import MISSING, get_at

if TYPE_CHECKING:
    from coreconfig.client.typed import TypedReads

T = TypeVar("T")


class Hook:
    """A function of the program that raises when it does not want a candidate."""

    def __init__(self, callback: Callable[[Snapshot], Any], place: str, typed: TypedReads) -> None:
        self._callback = callback
        self._place = place
        self._typed = typed

    def examine(self, candidate: State) -> None:
        """Show the candidate to the program."""
        self._callback(Snapshot(candidate, self._place, self._typed))


class Binding(Generic[T]):
    """A live object: `value` is always the last valid instance, made before the snapshot that it belongs to
    is read. A candidate that cannot be converted is refused as a whole. Who reads an instance that could be
    changed gets one of his own, so that nobody can spoil what the next one gets."""

    def __init__(self, key: str, kind: Any, typed: TypedReads, place: str) -> None:
        self._path = parse_key(key)
        self.key = format_key(self._path)
        self._kind = kind
        self._typed = typed
        self._place = place
        self._node: Any = MISSING
        self._make: Callable[[], Any] | None = None

    def __repr__(self) -> str:
        return f"<Binding of {self.key!r}>"

    @property
    def value(self) -> T:
        """The last valid instance. Raises `NotReady` while there was none."""
        make = self._make
        if make is None:
            raise NotReady(f"there is no snapshot of {self._place} yet: start() the client first")
        return make()  # type: ignore[no-any-return]  # what `bind` was asked for

    def examine(self, candidate: State) -> Callable[[], None] | None:
        """Make the instance of a candidate; None if it is the same. Raises `ConfigValidationError`."""
        node = get_at(candidate.tree, self._path)
        if node is MISSING and candidate.at is None:
            return None
        if node is MISSING:
            text = "the program is bound to this key, and nothing is there"
            raise ConfigValidationError(
                text, code="missing_key", issues=[Issue("missing_key", text, key=self.key)]
            )
        if node is self._node:
            return None
        make = self._typed.copies(node, self.key, self._kind)
        make()  # some targets are converted only now, and each time
        return partial(self._settle, node, make)

    def _settle(self, node: Any, make: Callable[[], Any]) -> None:
        self._node = node
        self._make = make
