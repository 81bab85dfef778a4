"""Sets of field paths beside Python's own sets of tuples, and their form on the wire."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trireme.machinery.apply import fieldset

ELEMENTS = st.sampled_from(
    ["f:a", "f:b", "f:.", 'k:{"name":"x"}', 'k:{"name":"x y"}', 'k:{"port":80,"x":"T"}', 'v:"s"']
    + ["v:1", "v:10", "v:2", "v:true", "i:3", "i:12"]
)
PATHS = st.frozensets(st.lists(ELEMENTS, min_size=1, max_size=4).map(tuple), max_size=12)
Paths = frozenset[tuple[str, ...]]


def made(paths: Paths) -> fieldset.Set:
    return fieldset.of(*paths)


def listed(items: fieldset.Set) -> Paths:
    return frozenset(fieldset.paths(items))


@given(PATHS)
def test_a_set_holds_the_paths_that_it_was_made_of(paths: Paths) -> None:
    assert listed(made(paths)) == paths
    assert all(fieldset.has(made(paths), path) for path in paths)


@given(PATHS, PATHS)
def test_algebra(a: Paths, b: Paths) -> None:
    left, right = made(a), made(b)
    assert listed(fieldset.union(left, right)) == a | b
    assert listed(fieldset.intersection(left, right)) == a & b
    assert listed(fieldset.difference(left, right)) == a - b
    assert fieldset.covers(left, right) == (b <= a)
    kept = {p for p in a if not any(p[: len(q)] == q for q in b)}
    assert listed(fieldset.recursive_difference(left, right)) == kept
    assert (listed(left), listed(right)) == (a, b)


@given(PATHS)
def test_round_trip(paths: Paths) -> None:
    data = fieldset.encode(made(paths))
    assert fieldset.decode(data) == made(paths)
    assert fieldset.encode(fieldset.decode(data)) == data


def test_order_on_the_wire() -> None:
    paths: list[tuple[str, ...]] = [
        ("v:10",), ("v:9",), ('v:"a"',), ("v:true",), ("i:0",), ("f:b",), ("f:a", "f:z"), ("f:a",),
        ('k:{"name":"a b"}',), ('k:{"name":"a"}',), ('k:{"containerPort":443,"protocol":"TCP"}',),
        ('k:{"containerPort":80,"protocol":"TCP"}',),
    ]  # fmt: skip
    assert fieldset.encode(fieldset.of(*paths)) == (
        b'{"f:a":{".":{},"f:z":{}},"f:b":{},'
        b'"k:{\\"containerPort\\":80,\\"protocol\\":\\"TCP\\"}":{},'
        b'"k:{\\"containerPort\\":443,\\"protocol\\":\\"TCP\\"}":{},'
        b'"k:{\\"name\\":\\"a\\"}":{},"k:{\\"name\\":\\"a b\\"}":{},'
        b'"v:9":{},"v:10":{},"v:\\"a\\"":{},"v:true":{},"i:0":{}}'
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", {}),
        (b"null", {}),
        (b'{"k:{\\"b\\":1.0,\\"a\\":2}":{}}', {'k:{"a":2,"b":1}': {}}),
        (b'{"f:a":{".":{}}}', {"f:a": {}}),
        (b'{"x:new":{},"f:a":{"x:new":{}}}', {"f:a": {}}),
    ],
)
def test_what_others_wrote(data: bytes, expected: Any) -> None:
    assert fieldset.decode(data) == expected


@pytest.mark.parametrize("data", [b"[]", b'{"f":{}}', b'{"fa:":{}}', b'{"v:{":{}}', b'{"i:x":{}}'])
def test_what_cannot_be_read(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        fieldset.decode(data)


def test_text() -> None:
    path = ("f:spec", 'k:{"name":"c","port":80}', 'v:"x"', "v:true", "i:1")
    assert fieldset.text(path) == '.spec[name="c",port=80][="x"][=true][1]'
