"""``If-Match`` and ``If-None-Match`` (RFC 9110, 13.1): which states the caller means."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from starlette.requests import Request

from coreconfig.errors import Invalid, PreconditionFailed

_TAG = re.compile(r'\s*((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|\Z)')


@dataclass(frozen=True, slots=True)
class Precondition:
    """A list of entity tags as they were sent, with their quotation marks; ``*`` is any state."""

    tags: tuple[str, ...]
    any: bool = False

    def matches(self, tag: str, *, weak: bool = False) -> bool:
        """Whether the state with this tag is one of those meant; weak tags count only if `weak`."""
        if self.any:
            return True
        if weak:
            return _bare(tag) in map(_bare, self.tags)
        return not tag.startswith("W/") and tag in self.tags

    def demand(self, etag: str | None, what: str, revision: int | None = None) -> None:
        """Raise `PreconditionFailed` unless the state is as the caller believes; None: it does not exist."""
        if etag is None or not self.matches(quoted(etag)):
            raise PreconditionFailed(
                f"{what} is no longer what If-Match names; read it again and decide anew", revision=revision
            )


def quoted(etag: str) -> str:
    """The entity tag as a header spells it."""
    return f'"{etag}"'


def etag_of(content: bytes) -> str:
    """An entity tag for content that has no better name."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def if_match(request: Request) -> Precondition | None:
    """What ``If-Match`` demands; None when it is absent. Raises `Invalid` (``bad_precondition``)."""
    return _precondition(request, "If-Match")


def if_none_match(request: Request) -> Precondition | None:
    """What ``If-None-Match`` names; None when absent, and when unreadable, which harms nobody."""
    try:
        return _precondition(request, "If-None-Match")
    except Invalid:
        return None


def _precondition(request: Request, header: str) -> Precondition | None:
    lines = request.headers.getlist(header)
    if not lines:
        return None
    text = ", ".join(lines).strip()
    return Precondition((), any=True) if text == "*" else Precondition(_tags(text, header))


def _tags(text: str, header: str) -> tuple[str, ...]:
    tags: list[str] = []
    position = 0
    while position < len(text):
        found = _TAG.match(text, position)
        if found is None:
            break
        tags.append(found.group(1))
        position = found.end()
    if position < len(text) or not tags:
        raise Invalid(
            f'{header} must be * or entity tags in double quotes, such as "1-42"', code="bad_precondition"
        )
    return tuple(tags)


def _bare(tag: str) -> str:
    return tag.removeprefix("W/")
