"""What a client was told: constructor arguments, then environment variables, checked once and all at once."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult, urlsplit

from coreconfig.client.json_values import as_json
from coreconfig.errors import CoreConfigError, Invalid, Issue
from coreconfig.model.keys import check_id
from coreconfig.model.trees import Tree, is_object, shared
from coreconfig.model.values import check_value, decode_json, kind_of

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8400"
DEFAULT_CACHE: Final = "default"
"""Marks "no cache_dir was given": the user's cache folder. None switches the file off."""

MAX_LABELS = 64
MAX_TEXT_LENGTH = 256
"""What a server takes of the labels, and of each text by which an instance describes itself."""

ClientCertificate = str | os.PathLike[str] | tuple[str | os.PathLike[str], str | os.PathLike[str]]
"""A PEM file with certificate and key, or the two files apart."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Everything a client was told. ``token`` never shows in its repr."""

    service: str
    environment: str
    url: str
    token: str | None = field(repr=False)
    instance: str
    cohort: str
    labels: Mapping[str, str]
    app_version: str
    cache_dir: Path | None
    defaults: Tree
    env_allow: tuple[str, ...]
    hot_reload: bool
    poll_interval: float
    request_timeout: float
    start_timeout: float
    required: bool
    ca_file: str | None
    client_cert: ClientCertificate | None = field(repr=False)

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this host, so that no proxy may stand between."""
        return urlsplit(self.url).hostname in ("localhost", "127.0.0.1", "::1")


def build_options(*, given: Mapping[str, Any], variables: Mapping[str, str]) -> Options:
    """The options from constructor arguments and ``CORECONFIG_*`` variables.

    Raises `Invalid` that lists every problem: ``missing_service``, ``missing_environment``, ``bad_id``,
    ``bad_url``, ``bad_option``, ``bad_defaults``, ``not_supported``.
    """
    issues: list[Issue] = []

    def attempt(build: Callable[[], T], otherwise: T) -> T:
        try:
            return build()
        except CoreConfigError as error:
            issues.extend(error.issues or (Issue(error.code, error.message),))
            return otherwise

    def text(name: str, variable: str, otherwise: str | None = None) -> str | None:
        return given.get(name) or variables.get(variable) or otherwise

    service = text("service_id", "CORECONFIG_SERVICE")
    environment = text("environment", "CORECONFIG_ENVIRONMENT")
    options = Options(
        service=attempt(lambda: _id("service", "service_id", "CORECONFIG_SERVICE", service), ""),
        environment=attempt(
            lambda: _id("environment", "environment", "CORECONFIG_ENVIRONMENT", environment), ""
        ),
        url=attempt(lambda: _url(text("url", "CORECONFIG_URL", DEFAULT_URL)), ""),
        token=attempt(lambda: _token(text("token", "CORECONFIG_TOKEN")), None),
        instance=attempt(lambda: _instance(given.get("instance_id")), ""),
        cohort=attempt(lambda: _text("cohort", given.get("cohort") or socket.gethostname()), ""),
        labels=attempt(lambda: _labels(given.get("labels")), {}),
        app_version=attempt(
            lambda: _text("app_version", text("app_version", "CORECONFIG_APP_VERSION", "1.0.0")), ""
        ),
        cache_dir=attempt(lambda: _cache_dir(given.get("cache_dir", DEFAULT_CACHE), variables), None),
        defaults=attempt(lambda: load_defaults(given.get("defaults")), {}),
        env_allow=attempt(lambda: _names(given.get("env_allow", ())), ()),
        hot_reload=bool(given.get("hot_reload", True)),
        poll_interval=attempt(lambda: _seconds(given, "poll_interval", 15.0), 15.0),
        request_timeout=attempt(lambda: _seconds(given, "request_timeout", 5.0), 5.0),
        start_timeout=attempt(lambda: _seconds(given, "start_timeout", 10.0), 10.0),
        required=bool(given.get("required", True)),
        ca_file=attempt(lambda: _file("ca_file", given.get("ca_file")), None),
        client_cert=given.get("client_cert"),
    )
    issues.extend(_unsupported(given))
    if issues:
        code = issues[0].code if len(issues) == 1 else "invalid"
        raise Invalid("the client cannot be made from these options", code=code, issues=issues)
    return options


def new_instance_id(base: str | None = None) -> str:
    """An id for this process: the host (or `base`), the process number, and chance against their reuse."""
    stem = "".join(c if c.isascii() and c.isalnum() else "-" for c in (base or socket.gethostname()).lower())
    return f"{stem.strip('-')[:40] or 'host'}-{os.getpid()}-{token_hex(3)}"


def load_defaults(source: Any) -> Tree:
    """The bundled defaults: a mapping, or the path of a ``.json``, ``.yaml`` or ``.yml`` file.

    Raises `Invalid` (``bad_defaults`` and the codes of values) with every issue.
    """
    if source is None:
        return {}
    value = _defaults_from_file(Path(source)) if isinstance(source, str | os.PathLike) else as_json(source)
    if not is_object(value):
        raise Invalid(f"defaults have to be an object, not {kind_of(value)}", code="bad_defaults")
    if issues := check_value(value):
        raise Invalid("the defaults are not acceptable", code="bad_defaults", issues=issues)
    return shared(value)  # type: ignore[no-any-return]  # an object stays one


def _defaults_from_file(path: Path) -> Any:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Invalid(
            f"the defaults file {path} cannot be read: {error.strerror}", code="bad_defaults"
        ) from None
    if path.suffix in (".yaml", ".yml"):
        from coreconfig.wire.yaml import load  # ruamel.yaml is optional and slow to import

        return load(content, name=str(path))
    return decode_json(content, what=f"defaults file {path}")


def _id(what: str, argument: str, variable: str, value: str | None) -> str:
    if not value:
        raise Invalid(
            f"no {what} was named: pass {argument}= or set {variable} (there is no default)",
            code=f"missing_{what}",
        )
    return check_id(what, value)


def _instance(value: str | None) -> str:
    return check_id("instance", value) if value else new_instance_id()


def _url(value: str | None) -> str:
    text = str(value)
    parts = _parts(text)
    if parts is None or not text.isascii() or " " in text or parts.query or parts.fragment:
        # the text itself stays out of the message, it may hold a password
        raise Invalid("the url of the server has to look like http://host:port", code="bad_url")
    if parts.username or parts.password:
        raise Invalid("the url of the server may not hold a password; pass token=", code="bad_url")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _parts(url: str) -> SplitResult | None:
    """What an address is made of; None if it is none."""
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of the port, or of brackets
        return None
    return parts if is_address else None


def _token(value: str | None) -> str | None:
    if value is not None and not isinstance(value, str):
        raise Invalid(f"the token is a text, not {type(value).__name__}", code="bad_option")
    if value and not (value.isascii() and value.isprintable() and " " not in value):
        raise Invalid("the token holds characters that no token has", code="bad_option")
    return value or None


def _labels(value: Mapping[str, str] | None) -> dict[str, str]:
    if value is not None and not isinstance(value, Mapping):
        raise Invalid("labels are texts by name", code="bad_option")
    if len(value or {}) > MAX_LABELS:
        raise Invalid(f"there are more than {MAX_LABELS} labels", code="bad_option")
    return {_text("a label", name): _text("a label", label) for name, label in (value or {}).items()}


def _text(name: str, value: Any) -> str:
    """A text that a server takes and a frame can carry."""
    if not isinstance(value, str):
        raise Invalid(f"{name} is a text, not {type(value).__name__}", code="bad_option")
    if len(value) > MAX_TEXT_LENGTH or not value.isprintable():
        text = f"{name} has at most {MAX_TEXT_LENGTH} characters, all of them printable"
        raise Invalid(text, code="bad_option")
    return value


def _file(name: str, value: Any) -> str | None:
    if not value:
        return None
    if not isinstance(value, str | os.PathLike):
        raise Invalid(f"{name} is the path of a file, not {type(value).__name__}", code="bad_option")
    return os.fspath(value)


def _names(value: Any) -> tuple[str, ...]:
    if (
        isinstance(value, str)
        or not isinstance(value, Iterable)
        or any(not isinstance(name, str) for name in value)
    ):
        raise Invalid("env_allow is a list of names like APP_*", code="bad_option")
    return tuple(value)


def _seconds(given: Mapping[str, Any], name: str, otherwise: float) -> float:
    value = given.get(name, otherwise)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise Invalid(f"{name} is a number of seconds above 0", code="bad_option")
    return float(value)


def _cache_dir(value: Any, variables: Mapping[str, str]) -> Path | None:
    if value is None:
        return None
    if value != DEFAULT_CACHE:
        folder = _file("cache_dir", value)
        if folder is None or "\0" in folder:
            raise Invalid("cache_dir is the path of a folder, or None for no file", code="bad_option")
        return Path(folder).expanduser()
    base = variables.get("XDG_CACHE_HOME")
    if base and Path(base).is_absolute():
        return Path(base, "coreconfig")
    try:
        return Path.home() / ".cache" / "coreconfig"
    except RuntimeError:  # an account without a home folder
        return None


def _unsupported(given: Mapping[str, Any]) -> list[Issue]:
    return [
        Issue("not_supported", f"{name}= is not supported by this version; leave it out")
        for name in ("redis_url", "snapshot_key", "cache_key")
        if given.get(name) is not None
    ]
