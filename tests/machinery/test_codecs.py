"""codec: YAML as upstream reads and writes it, hostile documents, JSON out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trireme.machinery import meta
from trireme.machinery.codec import json, yaml
from trireme.machinery.schema.decode import DecodeError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True), ("on", True), ("y", True), ("True", True), ("tRue", "tRue"),
        ("no", False), ("Off", False), ("N", False), ("~", None), ("null", None), ("", None),
        ("1", 1), ("-1", -1), ("+5", 5), ("0644", 420), ("08", 8), ("0x1F", 31), ("0b11", 3),
        ("0o17", 15), ("1_000", 1000), ("1.0", 1), ("1.5", 1.5), (".5", 0.5), ("1e3", 1000),
        ("1e400", "1e400"), (".inf", "inf"), ("9223372036854775808", 2**63), ("1.", 1),
        ("1:30", "1:30"),
        ("2001-01-01", "2001-01-01"), ("2001-01-01T00:00:00Z", "2001-01-01T00:00:00Z"),
        ("'1'", "1"), ('"yes"', "yes"), ("!!str 1", "1"), ("!!int 1", 1), ("!!float 1", 1),
        ("!!binary YQ==", "a"), ("!!binary /w==", "\ufffd"),
        ("!foo 1", "1"), ("a b", "a b"), ("|\n  a\n  b\n", "a\nb\n"), (">\n  a\n  b\n", "a b\n"),
        ("{a: [1, {b: c}]}", {"a": [1, {"b": "c"}]}), ("<<", "<<"), ("٣", "٣"),
        ("1: a\ntrue: b\n1.5: c\n", {"1": "a", "true": "b", "1.5": "c"}),
        ("a: &x [1]\nb: *x\nc: &x 2\nd: *x\n", {"a": [1], "b": [1], "c": 2, "d": 2}),
        ("a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3}\n",
         {"a": {"k": 1, "l": 2}, "b": {"l": 3, "k": 1}}),
        ("a: &x {k: 1}\nb: {<<: [*x, {k: 2, m: 3}]}\n", {"a": {"k": 1}, "b": {"k": 1, "m": 3}}),
        ("--- 1\n--- 2\n", 1), ("# nothing\n", None),
    ],
)  # fmt: skip
def test_yaml_values(text: str, value: Any) -> None:
    if value == "inf":
        with pytest.raises(DecodeError, match="unsupported value"):
            yaml.load(text)
        return
    loaded = yaml.load(text)
    assert loaded == yaml.Loaded(value)
    assert type(loaded.value) is type(value)


def test_duplicate_keys_are_reported_with_their_lines() -> None:
    loaded = yaml.load("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n")
    assert loaded.value == {"a": 3, "b": {"c": 2}}
    assert loaded.problem == (
        'yaml: unmarshal errors:\n  line 4: key "c" already set in map\n'
        '  line 5: key "a" already set in map'
    )
    # What is within comes first, and the line is that of the value.
    assert yaml.lines(yaml.load("a: 1\na:\n  b: 1\n  b: 2\n").problem) == [
        'line 4: key "b" already set in map',
        'line 3: key "a" already set in map',
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: b: c", "yaml: mapping values are not allowed in this context"),
        ("a: 1\n b: 2", "yaml: line 2: mapping values are not allowed in this context"),
        ("a: [1", "yaml: line 1: did not find expected ',' or ']'"),
        ("a: *x", "yaml: unknown anchor 'x' referenced"),
        ("a: &x [*x]", "yaml: anchor 'x' value contains itself"),
        ("a: .inf", "json: unsupported value: +Inf"),
        ("a: .nan", "json: unsupported value: NaN"),
        ("[]: a", "yaml: unsupported map key: []"),
        ("a: !!binary YQ", "yaml: !!binary value contains invalid base64 data"),
        ("a: !!int x", "yaml: cannot decode !!str `x` as a !!int"),
        ("<<: 1", "yaml: map merge requires map or sequence of maps as the value"),
        ("[" * 100_000, "yaml: line 1: exceeded max depth"),
        ("- " * 5000 + "a", "yaml: line 1: exceeded max depth"),
    ],
)
def test_bad_yaml(text: str, message: str) -> None:
    with pytest.raises(DecodeError) as caught:
        yaml.load(text)
    assert caught.value.message == message


def test_bytes_that_are_not_unicode() -> None:
    with pytest.raises(DecodeError, match="yaml: "):
        yaml.load(b"a: \xff\xfe")
    with pytest.raises(DecodeError, match="yaml: "):
        yaml.load("a: \x00")


def test_alias_bombs() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for n in range(1, 9):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]")
    with pytest.raises(DecodeError, match="document contains excessive aliasing"):
        yaml.load("\n".join(lines))


def test_documents() -> None:
    found = [loaded.value for loaded in yaml.load_all("a: 1\n---\n---\nb: 2\n...\n")]
    assert found == [{"a": 1}, None, {"b": 2}]
    assert yaml.load("") == yaml.Loaded(None)
    assert yaml.to_json("b: 1\na: yes\n") == (b'{"a":true,"b":1}', "")


def test_dump_is_what_kubectl_prints() -> None:
    value = {
        "a10": "1", "a2": "yes", "b": ["2001-01-01", "a\nb\n", "", "- x", "1:30", "é", 1, None],
        "c": {"d": {}, "e": [], "-": True, "1": 0.5},
    }  # fmt: skip
    assert yaml.dump(value) == (
        'a2: "yes"\na10: "1"\nb:\n- "2001-01-01"\n- |\n  a\n  b\n- ""\n- \'- x\'\n- "1:30"\n- é\n'
        "- 1\n- null\nc:\n  '-': true\n  \"1\": 0.5\n  d: {}\n  e: []\n"
    )


texts = st.text(max_size=8).filter(lambda text: text.isprintable()) | st.sampled_from(
    ["yes", "n", "1", "0x1", "~", "a: b", "- a", "1e3", "2001-01-01", "<<", "a\nb", " a", "#", ".5"]
)
plain = st.recursive(
    texts | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@given(plain)
def test_yaml_round_trip(value: Any) -> None:
    assert yaml.load(yaml.dump(value)) == yaml.Loaded(value)


def test_json_out() -> None:
    obj = meta.ObjectMeta(name="x", labels={"b": "1", "a": "2"})
    assert json.encode(obj) == b'{"name":"x","labels":{"a":"2","b":"1"}}'
    assert json.to_plain(obj) == {"name": "x", "labels": {"a": "2", "b": "1"}}
    assert json.pretty(b'{"a":1}') == b'{\n  "a": 1\n}'
