"""Conversion: what fits becomes an instance, and what does not is refused with every issue and no value."""

from __future__ import annotations

import datetime as dt
import ipaddress
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NotRequired, TypedDict, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, field_validator

from coreconfig.client.typed import convert, json_schema_of
from coreconfig.client.typed.conversion import reader_for
from coreconfig.errors import ConfigValidationError, Invalid
from coreconfig.model.trees import Wide

T = TypeVar("T")


class Mode(Enum):
    FAST = "fast"
    SAFE = "safe"


@dataclass
class Pool:
    minimum: int
    maximum: int = 5
    hosts: list[str] = field(default_factory=list)


@dataclass
class Database:
    host: str
    pool: Pool
    mode: Mode = Mode.SAFE
    timeout: float | None = None
    replicas: dict[str, Pool] = field(default_factory=dict)


class Limits(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    max_size: Annotated[int, msgspec.Meta(le=10)]
    names: Annotated[list[str], msgspec.Meta(max_length=2)] = []


class Mail(msgspec.Struct, tag="mail"):
    to: str


class Pager(msgspec.Struct, tag="pager"):
    number: int


class Options(TypedDict):
    port: int
    tls: NotRequired[bool]


class Provider(BaseModel):
    model_config = ConfigDict(extra="forbid")
    model: Literal["small", "large"]
    temperature: float = Field(default=0.5, le=2)


class Providers(BaseModel):
    primary: Provider
    others: list[Provider] = []


@dataclass
class Box(Generic[T]):
    value: T
    more: list[T] = field(default_factory=list)


def issues_of(value: Any, target: Any, key: str = "k") -> dict[str, str]:
    with pytest.raises(ConfigValidationError) as caught:
        convert(value, target, key)
    return {str(issue.key): issue.code for issue in caught.value.issues}


@pytest.mark.parametrize(
    ("value", "target", "expected"),
    [
        (3, int, 3),
        (3.0, int, 3),
        (3, float, 3.0),
        ("a", str, "a"),
        (None, int | None, None),
        ([1, 2], list[int], [1, 2]),
        ([1, 2], tuple[int, ...], (1, 2)),
        ({"a": 1}, dict[str, int], {"a": 1}),
        ({"1": True}, dict[int, bool], {1: True}),
        ("fast", Mode, Mode.FAST),
        ("a", Literal["a", "b"], "a"),
        ("2026-11-23T10:00:00Z", dt.datetime, dt.datetime(2026, 11, 23, 10, tzinfo=dt.UTC)),
        ("/var/lib", Path, Path("/var/lib")),
        ("10.0.0.1", ipaddress.IPv4Address, ipaddress.IPv4Address("10.0.0.1")),
        ({"host": "h", "pool": {"minimum": 1.0}}, Database, Database("h", Pool(1))),
        ({"maxSize": 3}, Limits, Limits(3)),
        ({"port": 1, "tls": True}, Options, {"port": 1, "tls": True}),
        ({"value": 1}, Box[int], Box(1)),
        ({"type": "pager", "number": 1}, Mail | Pager, Pager(1)),
        ({"primary": {"model": "small"}}, Providers, Providers(primary=Provider(model="small"))),
        ([{"model": "large"}], list[Provider], [Provider(model="large")]),
        (2, Annotated[int, Field(gt=1)], 2),
        ({"a": {"b": 1}}, {"type": "object"}, {"a": {"b": 1}}),
        ({"a": 1}, dict, {"a": 1}),
    ],
    ids=str,
)
def test_what_fits_becomes_an_instance(value: Any, target: Any, expected: Any) -> None:
    """Every kind of target is read, and 1.0 is the same value as 1."""
    made = convert(value, target, "k")
    assert made == expected
    assert type(made) is type(expected)


def test_every_issue_of_a_dataclass_is_listed_with_its_key() -> None:
    """A person can repair everything at once."""
    value = {
        "pool": {"maximum": "x", "hosts": ["a", 2]},
        "mode": "other",
        "timeout": "soon",
        "replicas": {"a.b": {"minimum": 1.5}, "c": 3},
    }
    assert issues_of(value, Database, "db") == {
        "db.host": "missing_member",
        "db.pool.minimum": "missing_member",
        "db.pool.maximum": "wrong_type",
        "db.pool.hosts[1]": "wrong_type",
        "db.mode": "not_allowed",
        "db.timeout": "wrong_type",
        'db.replicas."a.b".minimum': "wrong_type",
        "db.replicas.c": "wrong_type",
    }


@pytest.mark.parametrize(
    ("value", "target", "expected"),
    [
        ({"maxSize": 11, "names": ["a", "b", "c"], "z": 1}, Limits,
         {"k.maxSize": "out_of_bounds", "k.names": "wrong_length", "k.z": "unknown_member"}),
        ({"tls": 1}, Options, {"k.port": "missing_member", "k.tls": "wrong_type"}),
        ({"value": "x", "more": [1, "y"]}, Box[int], {"k.value": "wrong_type", "k.more[1]": "wrong_type"}),
        ({"type": "fax"}, Mail | Pager, {"k.type": "not_allowed"}),
        ([{"type": "mail"}, {"type": "pager", "number": "x"}], list[Mail | Pager],
         {"k[0].to": "missing_member", "k[1].number": "wrong_type"}),
        ([1, "x", "y"], tuple[int, int, int], {"k[1]": "wrong_type", "k[2]": "wrong_type"}),
        ([1], tuple[int, int], {"k": "wrong_length"}),
        ({"a": 1, "2": "x"}, dict[int, int], {"k.a": "wrong_type", "k.2": "wrong_type"}),
        (True, int, {"k": "wrong_type"}),
        ("x", Annotated[str, msgspec.Meta(pattern="^a")], {"k": "wrong_format"}),
        ("x", ipaddress.IPv4Address, {"k": "wrong_format"}),
        ("x", dt.datetime, {"k": "wrong_format"}),
        ({"primary": {"model": "huge", "temperature": 9}, "others": [{}, {"model": "small", "z": 1}]},
         Providers,
         {"k.primary.model": "not_allowed", "k.primary.temperature": "out_of_bounds",
          "k.others[0].model": "missing_member", "k.others[1].z": "unknown_member"}),
        ({"x": {"model": 3}}, dict[str, Provider | None], {"k.x.model": "not_allowed"}),
        ({"a": "x"}, {"properties": {"a": {"type": "integer"}}, "required": ["b"]},
         {"k.a": "wrong_type", "k": "missing_member"}),
    ],
    ids=str,
)  # fmt: skip
def test_each_deviation_has_its_code_and_its_key(
    value: Any, target: Any, expected: Mapping[str, str]
) -> None:
    """The same codes whichever library reads the target."""
    assert issues_of(value, target) == expected


def test_the_message_names_key_target_and_each_issue() -> None:
    """What, where, which rule: all in the text of the error."""
    with pytest.raises(ConfigValidationError) as caught:
        convert({"minimum": "x", "maximum": "y"}, Pool, "db.pool")
    assert str(caught.value).splitlines() == [
        "the value of 'db.pool' is not Pool: 2 issues",
        "  - db.pool.minimum: Expected `int`, got `str` [wrong_type]",
        "  - db.pool.maximum: Expected `int`, got `str` [wrong_type]",
    ]


SECRET = "hunter2-very-secret"


class Telltale(BaseModel):
    password: str

    @field_validator("password")
    @classmethod
    def _strong(cls, value: str) -> str:
        raise ValueError(f"the password {value!r} is weak, use 12 characters")


class TelltaleRecord(msgspec.Struct):
    password: str

    def __post_init__(self) -> None:
        raise ValueError(f"the password {self.password!r} is weak, use 12 characters")


@pytest.mark.parametrize(
    "target",
    [
        Telltale,
        TelltaleRecord,
        dict[str, int],
        dict[str, Mode],
        dict[str, Literal["a"]],
        dict[str, dt.datetime],
        dict[str, ipaddress.IPv4Address],
        dict[str, Annotated[str, Field(pattern="^a")]],
        {"properties": {"password": {"enum": ["a"]}}},
        {"properties": {"password": {"pattern": "^a"}}},
        {"properties": {"password": {"type": "integer"}}},
        {"additionalProperties": {"maxLength": 2}},
        {"not": {"required": ["password"]}},
    ],
    ids=str,
)
def test_an_error_never_shows_the_value(target: Any) -> None:
    """Any value may be a secret: neither the text nor a chained error has it."""
    with pytest.raises(ConfigValidationError) as caught:
        convert({"password": SECRET}, target, "k")
    error = caught.value
    assert SECRET not in str(error)
    assert error.__context__ is None
    assert error.issues


def test_a_programs_own_text_is_kept_but_for_the_value() -> None:
    """The sentence of a validator still helps when the value in it is masked."""
    with pytest.raises(ConfigValidationError, match=r"the password '\*\*\*' is weak, use 12 characters"):
        convert({"password": SECRET}, Telltale, "k")


def test_an_instance_shares_nothing_with_the_node() -> None:
    """Whatever is done to the instance, the snapshot stays as it is."""
    node = {"a": {"b": [1]}}
    for target in (dict, dict[str, Any], Any, {"type": "object"}):
        convert(node, target, "k")["a"]["b"].append(2)
    assert node == {"a": {"b": [1]}}


def test_an_object_with_many_members_is_read_like_any_other() -> None:
    """The inner form of large objects is not to be seen outside."""
    members = {f"m{n}": n for n in range(1000)}
    node = {"all": Wide.of(members)}
    assert convert(node, dict[str, dict[str, int]], "k") == {"all": members}
    assert convert(node, {"properties": {"all": {"type": "object"}}}, "k") == {"all": members}
    assert type(convert(node, dict, "k")["all"]) is dict
    wrong = {f"k.all.{name}": "wrong_type" for name in members}
    assert issues_of(node, dict[str, dict[str, str]]) == wrong


class Masked(str):
    """Like a resolved secret: a text that hides itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__


@pytest.mark.parametrize("target", [dict[str, str], dict[str, str] | None, {"type": "object"}, dict], ids=str)
def test_a_text_that_hides_itself_stays_one(target: Any) -> None:
    """Reading a secret as a plain type does not bare it."""
    made = convert({"a": Masked("x")}, target, "k")
    assert type(made["a"]) is Masked
    assert made == {"a": "x"}


def test_a_model_and_a_path_get_the_text_that_hides_itself() -> None:
    """Where a class is asked for, the real text goes into it, not the mask."""

    class Login(BaseModel):
        password: str

    assert convert({"password": Masked("x")}, Login, "k").password == "x"
    assert convert(Masked("/x"), Path, "k") == Path("/x")


class Opaque:
    pass


@pytest.mark.parametrize("target", [Opaque, int | Opaque, "Pool", dict[str, Opaque]], ids=str)
def test_a_target_that_cannot_be_read_is_refused_as_such(target: Any) -> None:
    """The program is wrong, not the configuration, and the code says so."""
    with pytest.raises(Invalid) as caught:
        convert({"a": {}}, target, "k")
    assert caught.value.code == "unsupported_target"


def test_a_bad_schema_is_refused_as_such() -> None:
    """The same for a schema that is none."""
    with pytest.raises(Invalid) as caught:
        convert({}, {"type": "nonsense"}, "k")
    assert caught.value.code == "bad_schema"


def test_a_strict_model_reads_what_json_can_spell() -> None:
    """Enumerations, dates and tuples have no other spelling in JSON, so a strict model takes them."""

    class Strict(BaseModel):
        model_config = ConfigDict(strict=True)
        count: int
        mode: Mode
        day: dt.date
        sizes: tuple[int, ...]

    value = {"count": 2.0, "mode": "fast", "day": "2026-11-23", "sizes": [1, 2]}
    made = convert(value, Strict, "k")
    assert (made.count, made.mode, made.day, made.sizes) == (2, Mode.FAST, dt.date(2026, 11, 23), (1, 2))
    assert issues_of({**value, "count": "2"}, Strict) == {"k.count": "wrong_type"}


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        (int, "integer"),
        (list[int], "array"),
        (Provider, "object"),
        (Options, None),
        (Path, "string"),
        (Database, None),
    ],
    ids=str,
)
def test_a_target_can_be_told_as_a_json_schema(target: Any, kind: str | None) -> None:
    """What a consumer demands can be sent to others; the schema accepts what the target accepts."""
    schema = json_schema_of(target)
    assert schema.get("type") == kind
    accepted = {"integer": 1, "array": [1], "object": {"model": "small"}, "string": "/x"}
    value = accepted[kind] if kind else {"port": 1, "host": "h", "pool": {"minimum": 1}}
    assert convert(value, schema, "k") == value
    assert json_schema_of(schema) == schema
    with pytest.raises(ConfigValidationError):
        convert(None, schema, "k")


def test_the_schema_of_an_unreadable_target_is_refused() -> None:
    """With the code that names the cause."""
    with pytest.raises(Invalid) as caught:
        json_schema_of(Opaque)
    assert caught.value.code == "unsupported_target"


texts = st.text(max_size=5)
pools = st.builds(Pool, st.integers(-9, 9), st.integers(-9, 9), st.lists(texts, max_size=3))
instances = st.one_of(
    pools,
    st.builds(
        Database,
        texts,
        pools,
        st.sampled_from(Mode),
        st.none() | st.floats(-9, 9),
        st.dictionaries(texts, pools),
    ),
    st.builds(Limits, st.integers(-9, 10), st.lists(texts, max_size=2)),
    st.builds(Mail, texts),
    st.builds(Provider, model=st.sampled_from(["small", "large"]), temperature=st.floats(-2, 2)),
    st.builds(
        Providers,
        primary=st.builds(Provider, model=st.just("small")),
        others=st.lists(st.builds(Provider, model=st.just("large")), max_size=2),
    ),
)


@given(instances)
def test_what_an_instance_is_dumped_to_is_read_back_as_its_equal(instance: Any) -> None:
    """Reading is the inverse of writing, for every kind of class."""
    assert convert(_dumped(instance), type(instance), "k") == instance


def _dumped(instance: Any) -> Any:
    if isinstance(instance, BaseModel):
        return instance.model_dump(mode="json")
    return msgspec.to_builtins(asdict(instance) if is_dataclass(instance) else instance)  # type: ignore[arg-type]  # an instance, never a class


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["host", "pool", "minimum", "x.y"]), inner)
    ),
    max_leaves=12,
)


@given(
    json_values,
    st.sampled_from([Database, Limits, Options, Providers, list[Pool], dict[str, Box[int]], Mail | Pager]),
)
def test_any_value_is_read_or_refused_with_issues_below_its_key(value: Any, target: Any) -> None:
    """No third outcome: no other error, no refusal without a reason."""
    _, issues = reader_for(target).attempt(value, "k")
    assert all(str(issue.key).startswith("k") and issue.message for issue in issues)
    if issues:
        with pytest.raises(ConfigValidationError):
            convert(value, target, "k")
    else:
        convert(value, target, "k")


def test_reading_without_pydantic_never_loads_it() -> None:
    """A program that does not use pydantic does not pay for it, and needs not have it."""
    program = (
        "import sys; sys.modules['pydantic'] = None\n"
        "from dataclasses import dataclass\n"
        "from coreconfig.client.typed import convert\n"
        "@dataclass\nclass Pool:\n    size: int\n"
        "assert convert({'size': 1}, Pool, 'k') == Pool(1)\n"
        "try: convert({}, int | type('Odd', (), {}), 'k')\n"
        "except Exception as error: print(error.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "unsupported_target"
