"""Reading: plain look-ups in one immutable state, no lock, no wait, no input or output.

`Reads` is what both clients and a pinned `Snapshot` have in common.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from difflib import get_close_matches
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar, overload

from coreconfig.client.state import State
from coreconfig.errors import ConfigValidationError, Invalid, Issue, KeyNotFound, NotReady
from coreconfig.model.keys import Path, format_key, parse_key
from coreconfig.model.trees import MISSING, count_leaves, flatten, get_at, is_object, leaves, plain
from coreconfig.model.values import kind_of

if TYPE_CHECKING:
    from coreconfig.client.typed import TypedReads

T = TypeVar("T")


class _Required:
    __slots__ = ()

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required()
"""No default was given: an absent key is an error. None cannot say so, since null is a value."""


class Reads(Mapping[str, Any]):
    """All ways to read. What is done to a value handed out reaches neither the snapshot nor the next read.

    A value that can be changed is the reader's own copy, with one exception: `get_typed` hands out the same
    pydantic model (or list, dict or tuple that has models in it) again, as long as it equals what the
    configuration says. Once somebody has changed his instance, in whatever depth, it stays as he made it, and
    the next read gets another one; those who had the same one before see the change, so copy a model with
    ``model_copy(deep=True)`` before changing it. Changes to an equal value of another type (``True`` to
    ``1``) are not noticed.

    Iteration and length are about leaf keys, ``[]`` and ``in`` about any node.
    """

    __slots__ = ("__weakref__", "_defaulted", "_flat", "_hits", "_misses", "_place", "_state", "_typed")

    _flat: Mapping[str, Any]
    _state: State

    def __init__(self, state: State, place: str, typed: TypedReads) -> None:
        self._place = place
        self._typed = typed
        self._hits = 0
        self._misses = 0
        self._defaulted = 0
        self._adopt(state)

    def get(self, key: str, default: Any = REQUIRED) -> Any:
        """The value at a key: a scalar, or a copy of an array or of the object of all that lies below.

        Raises `KeyNotFound` where nothing is and no default was given, `NotReady` while there is no snapshot
        at all, `Invalid` for a text that is no key.
        """
        # This is the hot path: one look-up of an immutable scalar. Everything else costs a detour.
        # No lock around the count: CPython lets another thread in only when a function is entered or a loop
        # goes round, and this statement does neither, so none is lost. Without the GIL a count may be, a
        # value never. It is counted before it is known, because keeping the value aside would cost more.
        try:
            self._hits += 1
            return self._flat[key]
        except (KeyError, TypeError):
            self._hits -= 1
            return self._read(key, default)

    def __getitem__(self, key: str) -> Any:
        return self.get(key)

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, str):
            return False
        try:
            path = parse_key(key)
        except Invalid:
            return False
        return get_at(self._current().tree, path) is not MISSING

    def __iter__(self) -> Iterator[str]:
        return (format_key(path) for path, _ in leaves(self._current().tree))

    def __len__(self) -> int:
        return count_leaves(self._current().tree)

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def keys(self) -> KeysView[str]:
        """All leaf keys of one revision."""
        return self.get_all(flat=True).keys()

    def values(self) -> ValuesView[Any]:
        """All leaves of one revision."""
        return self.get_all(flat=True).values()

    def items(self) -> ItemsView[str, Any]:
        """All leaf keys of one revision with their values."""
        return self.get_all(flat=True).items()

    def get_all(self, *, flat: bool = False) -> dict[str, Any]:
        """Everything of one revision: nested, or with `flat` the leaves by key. Raises `NotReady`."""
        state = self._ready()
        self._hits += 1
        if flat:
            return {key: plain(leaf) for key, leaf in flatten(state.tree).items()}
        return plain(state.tree)  # type: ignore[no-any-return]  # a copy of an object is a dict

    def get_batch(
        self,
        keys: Iterable[str],
        *,
        missing: Literal["error", "omit"] = "error",
        default: Any = REQUIRED,
    ) -> dict[str, Any]:
        """The values at several keys, all of one revision, under the keys as they were spelt.

        Absent keys get `default`, or are left out with ``missing="omit"``, else `KeyNotFound` names them all.
        """
        if missing not in ("error", "omit"):
            raise Invalid(f"missing= is 'error' or 'omit', not {missing!r}", code="bad_option")
        if isinstance(keys, str):
            raise Invalid("get_batch takes several keys; for one use get", code="bad_option")
        state = self._current()
        found = {key: get_at(state.tree, _path_of(key)) for key in keys}
        absent = [key for key, node in found.items() if node is MISSING]
        self._hits += len(found) - len(absent)
        self._misses += len(absent) if state.at else 0
        if not absent or default is not REQUIRED:
            self._defaulted += len(absent)
            return {key: default if node is MISSING else plain(node) for key, node in found.items()}
        if not state.at:
            raise self._not_ready()
        if missing == "omit":
            return {key: plain(node) for key, node in found.items() if node is not MISSING}
        raise self._not_found(state, absent)

    @overload
    def get_typed(self, key: str, kind: type[T], default: Any = ...) -> T: ...

    @overload
    def get_typed(self, key: str, kind: Any, default: Any = ...) -> Any: ...

    def get_typed(self, key: str, kind: Any, default: Any = REQUIRED) -> Any:
        """The node at a key as an instance of a type, or as JSON that a JSON Schema accepts.

        `kind` is a pydantic model, dataclass, TypedDict, msgspec.Struct, builtin type, annotation, or a JSON
        Schema. Whose the instance is says `Reads`. Raises `ConfigValidationError` with every issue, and what
        `get` raises.
        """
        try:
            make, _ = self._state.instances[key][id(kind) if type(kind) is dict else kind]
        except (KeyError, TypeError):  # not read yet from this state, or a target that cannot be hashed
            return self._convert(key, kind, default)
        self._hits += 1
        return make()

    @overload
    def get_section(self, prefix: str) -> dict[str, Any]: ...

    @overload
    def get_section(self, prefix: str, kind: type[T]) -> T: ...

    @overload
    def get_section(self, prefix: str, kind: Any) -> Any: ...

    def get_section(self, prefix: str, kind: Any = None) -> Any:
        """The object at a key, ``{}`` where nothing is; with `kind` as `get_typed` would give it.

        Raises `ConfigValidationError` (``not_a_section``) where a leaf lies, and what `get` raises.
        """
        if kind is not None:
            return self.get_typed(prefix, kind, _EMPTY)
        section = self.get(prefix, _EMPTY)
        if section is _EMPTY:
            return {}
        if type(section) is not dict:
            text = f"{prefix!r} is a leaf of type {kind_of(section)}, not a section; read it with get()"
            raise ConfigValidationError(
                text, code="not_a_section", issues=[Issue("not_a_section", text, key=prefix)]
            )
        return section

    @property
    def revision(self) -> int:
        """The revision that is read; 0 while there is no snapshot."""
        return self._state.revision

    def _adopt(self, state: State) -> None:
        """Read from this state from now on."""
        # no thread gets in between the two (see `get`), so nobody reads old after new
        self._state = state
        self._flat = state.flat

    def _take_counts(self, other: Reads) -> None:
        """Count the reads of a pinned snapshot as one's own."""
        self._hits += other._hits
        self._misses += other._misses
        self._defaulted += other._defaulted
        other._hits = other._misses = other._defaulted = 0

    def _current(self) -> State:
        """The state to answer from, for every read that is not the hot path."""
        return self._state

    def _read(self, key: str, default: Any) -> Any:
        """Everything but a scalar under its canonical key."""
        state = self._current()
        node = get_at(state.tree, _path_of(key))
        if node is MISSING:
            return self._absent(state, key, default)
        self._hits += 1
        return plain(node)

    def _convert(self, key: str, kind: Any, default: Any) -> Any:
        state = self._current()
        node = get_at(state.tree, _path_of(key))
        if node is MISSING:
            default = self._absent(state, key, default)
            if default is not _EMPTY:
                return default
            # not into the memo, or get_typed would no longer find that nothing is there
            return self._typed.read({}, {}, key, kind)
        self._hits += 1
        return self._typed.read(state.instances, node, key, kind)

    def _absent(self, state: State, key: str, default: Any) -> Any:
        if state.at:
            self._misses += 1
        elif default is _EMPTY:  # that a section is empty can be said only of a snapshot
            raise self._not_ready()
        if default is not REQUIRED:
            self._defaulted += default is not _EMPTY
            return default
        raise self._not_found(state, [key]) if state.at else self._not_ready()

    def _ready(self) -> State:
        state = self._current()
        if state.at is None and not state.tree:
            raise self._not_ready()
        return state

    def _not_ready(self) -> NotReady:
        return NotReady(
            f"there is no snapshot of {self._place} yet: start() the client, or give a default for the key"
        )

    def _not_found(self, state: State, keys: list[str]) -> KeyNotFound:
        issues = [Issue("key_not_found", "nothing is there" + _hint(state, key), key=key) for key in keys]
        if len(keys) == 1:
            text = f"{self._place} has no key {keys[0]!r} at revision {state.revision}{_hint(state, keys[0])}"
        else:
            text = f"{self._place} has none of these {len(keys)} keys at revision {state.revision}"
        return KeyNotFound(text, issues=issues if len(keys) > 1 else (), revision=state.revision)


_EMPTY: Final = object()
"""Default of sections: nothing there reads as an empty object."""


class Snapshot(Reads):
    """One revision held still: every read answers from it, whatever arrives meanwhile."""

    __slots__ = ("_owner",)

    def __init__(self, state: State, place: str, typed: TypedReads, owner: Reads | None = None) -> None:
        super().__init__(state, place, typed)
        self._owner = owner

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owner is not None:
            self._owner._take_counts(self)

    def __repr__(self) -> str:
        return f"<Snapshot of {self._place} at revision {self.revision}>"


def _path_of(key: str) -> Path:
    if not isinstance(key, str):
        raise Invalid(f"a key is a text, not {type(key).__name__}", code="bad_key")
    return parse_key(key)


def _hint(state: State, key: str) -> str:
    """What the reader may have meant: a name beside the absent one that looks like it."""
    *above, last = parse_key(key)
    siblings = get_at(state.tree, tuple(above))
    if not is_object(siblings) or len(siblings) > _MANY:
        return ""
    close = get_close_matches(last, list(siblings), n=1)
    return f"; did you mean {format_key((*above, close[0]))!r}?" if close else ""


_MANY = 200
"""More names than this are not compared with a misspelt one."""
