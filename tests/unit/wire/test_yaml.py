"""What is read from YAML, what is refused, and that writing is byte-stable."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreconfig.errors import Invalid, TooLarge
from coreconfig.wire import yaml


def issues_of(text: str | bytes) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        yaml.load(text)
    return [(issue.code, issue.message) for issue in caught.value.issues]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("2026-01-01", "2026-01-01"),
        ("12:30:45", "12:30:45"),
        ("1_000", "1_000"),
        ("0o17", 15),
        ("0x1F", 31),
        ("017", 17),
        ("~", None),
        ("", None),
        ("TRUE", True),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-", None),
        ("'1'", "1"),
        ('"true"', "true"),
        ("=", "="),
    ],
)
def test_a_plain_scalar_means_what_the_core_schema_of_1_2_says(text: str, value: object) -> None:
    """Neither dates nor the booleans and numbers of YAML 1.1 exist."""
    read = yaml.load(f"a: {text}\n") if text != "-" else {"a": None}
    assert read == {"a": value}
    assert type(read["a"]) is type(value)


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ("a: !!str 1", "yaml_tag", "line 1, column 4"),
        ("a: !python/object:os.system x", "yaml_tag", "line 1, column 4"),
        ("b: &b {x: 1}\na:\n  <<: *b", "yaml_merge_key", "line 3, column 3"),
        ("a:\n  1: x", "yaml_key_not_string", "line 2, column 3"),
        ("a:\n  true: x", "yaml_key_not_string", "line 2, column 3"),
        ("? [a]\n: x", "yaml_key_not_string", "line 1, column 3"),
        ("a: 1\nb: 2\na: 3", "duplicate_member", "line 3, column 1"),
        ("a: .nan", "number_not_finite", "line 1, column 4"),
        ("a: -.inf", "number_not_finite", "line 1, column 4"),
        ("a: 1e400", "number_not_finite", "line 1, column 4"),
        ("a: 9007199254740993", "integer_out_of_range", "line 1, column 4"),
        ("a: " + "9" * 5000, "integer_out_of_range", "line 1, column 4"),
        ("a: 1\n---\nb: 2", "yaml_several_documents", "line 2, column 1"),
        ("a: &a [*a]", "yaml_recursive_alias", "line 1, column 8"),
        ("a: *nowhere", "yaml_unknown_alias", "line 1, column 4"),
        ("%YAML 1.1\n---\na: 1", "yaml_version", "line 2, column 1"),
        ("a: b: c", "yaml_syntax", "line 1, column 5"),
        ("a: 1\nb: \x07", "yaml_syntax", "line 2, column 4"),
        ("", "yaml_empty", ""),
        ("# only a comment", "yaml_empty", ""),
        ("[" * 5000, "too_deep", "line 1, column 65"),
    ],
)
def test_what_is_not_json_is_refused_with_its_place(text: str, code: str, where: str) -> None:
    """Each construct has its own stable code, and the message begins with line and column."""
    ((found, message),) = issues_of(text)
    assert (found, message.startswith(where)) == (code, True)


def test_all_issues_of_a_document_are_told_at_once() -> None:
    """A person who repairs a file is not sent round once for each mistake."""
    text = "a: .nan\nb: !x 1\na: 2\n3: 4\nc: {n: .inf}\n"
    assert [code for code, _ in issues_of(text)] == [
        "number_not_finite",
        "yaml_tag",
        "duplicate_member",
        "yaml_key_not_string",
        "number_not_finite",
    ]


def test_an_issue_names_the_key_it_is_at() -> None:
    """The position in the text and the key in the document are both there."""
    with pytest.raises(Invalid) as caught:
        yaml.load("logging:\n  level: !x debug\n")
    assert caught.value.issues[0].key == "logging.level"


def test_aliases_are_read_while_they_stay_small() -> None:
    """An anchor is a way to write less; each alias is a copy of its own."""
    read = yaml.load("a: &x {k: [1, 2]}\nb: *x\n")
    assert read == {"a": {"k": [1, 2]}, "b": {"k": [1, 2]}}
    read["a"]["k"].append(3)
    assert read["b"] == {"k": [1, 2]}


def test_an_alias_bomb_is_refused_before_it_expands() -> None:
    """Nine levels of nine aliases would be half a milliard of items."""
    lines = ["a: &a [" + ",".join(["lol"] * 9) + "]"]
    lines += [f"{n}: &{n} [{','.join([f'*{p}'] * 9)}]" for p, n in zip("abcdefgh", "bcdefghi", strict=True)]
    ((code, _),) = issues_of("\n".join(lines))
    assert code == "yaml_alias_bomb"


def test_a_long_text_behind_few_aliases_is_a_bomb_too() -> None:
    """The budget counts characters, not aliases."""
    text = "a: &a " + "x" * 60_000 + "\nb: [" + ", ".join(["*a"] * 20) + "]\n"
    assert issues_of(text)[0][0] == "yaml_alias_bomb"


def test_bytes_that_are_not_utf8_are_refused_with_their_line() -> None:
    """Latin-1 text would be read as something else."""
    with pytest.raises(Invalid, match="line 2") as caught:
        yaml.load(b"a: 1\nb: caf\xe9\n")
    assert caught.value.code == "not_utf8"


def test_a_byte_order_mark_is_passed_over() -> None:
    """Editors that write one do no harm."""
    assert yaml.load(b"\xef\xbb\xbfa: 1\n") == {"a": 1}


def test_a_text_beyond_the_limit_is_not_parsed() -> None:
    """The size is checked before the parser sees a byte."""
    with pytest.raises(TooLarge):
        yaml.load(b"#" * (yaml.MAX_BYTES + 1))


def test_without_ruamel_the_error_says_what_to_install() -> None:
    """The base install reads no YAML; the message names the extra."""
    program = (
        "import sys; sys.modules['ruamel'] = None; sys.modules['ruamel.yaml'] = None\n"
        "from coreconfig.wire import yaml\n"
        "from coreconfig.errors import Invalid\n"
        "try: yaml.load('a: 1')\n"
        "except Invalid as error: print(error.code, error.message)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told.startswith("yaml_not_installed ")
    assert 'pip install "coreconfig[yaml]"' in told


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20) | st.sampled_from(
    [
        "no",
        "12:30",
        "2026-01-01",
        "1_0",
        "~",
        "a: b",
        "# c",
        "- x",
        "a\nb\n",
        "\n",
        " x",
        "x ",
        "a\n\n b",
        "<<",
        "0x1",
        "é\u2028",
        "\ufeff",
    ]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)
documents = st.dictionaries(texts, values, max_size=5)


@given(documents)
def test_what_is_written_is_read_back(document: dict[str, object]) -> None:
    """No text, number or nesting is changed by being written as YAML."""
    assert yaml.load(yaml.dump(document)) == document


@given(documents)
def test_equal_documents_are_written_as_equal_bytes(document: dict[str, object]) -> None:
    """The order in which members came leaves no trace."""
    turned = dict(reversed(document.items()))
    assert yaml.dump(turned) == yaml.dump(document)
    assert yaml.dump(yaml.load(yaml.dump(document))) == yaml.dump(document)


def test_an_environment_is_written_in_the_order_people_read_it() -> None:
    """Known members stand in their order, free ones alphabetically, short lists on one line."""
    text = yaml.dump(
        {
            "services": {"b": {"configuration": {"z": 1, "a": "${vault:k}"}, "instances": 2}, "a": {}},
            "inherits": ["global", "eu"],
            "properties": {"cloud": "aws", "region": "us-east-1"},
            "id": "p",
            "overrides": {"configuration": {"note": "one\ntwo\n", "on": "yes", "version": "1.10"}},
        }
    )
    assert text == (
        "id: p\n"
        "inherits: [global, eu]\n"
        "properties:\n"
        "  region: us-east-1\n"
        "  cloud: aws\n"
        "overrides:\n"
        "  configuration:\n"
        "    note: |\n"
        "      one\n"
        "      two\n"
        '    "on": "yes"\n'
        '    version: "1.10"\n'
        "services:\n"
        "  a: {}\n"
        "  b:\n"
        "    instances: 2\n"
        "    configuration:\n"
        '      a: "${vault:k}"\n'
        "      z: 1\n"
    )


def test_a_configuration_has_no_members_with_an_order_of_their_own() -> None:
    """A key called `id` or `services` is a key like any other."""
    assert yaml.dump_tree({"services": {"resources": 1, "instances": 2}, "id": 1, "a": []}) == (
        "a: []\nid: 1\nservices:\n  instances: 2\n  resources: 1\n"
    )
    assert yaml.dump_tree({}) == "{}\n"
