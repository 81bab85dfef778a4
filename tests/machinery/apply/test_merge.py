"""Merging and comparing beside a slow reference: objects as flat maps from path to leaf."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.machinery.apply import published

from trireme.machinery.apply import check, collect, fieldset
from trireme.machinery.apply.compare import compare
from trireme.machinery.apply.merge import merge, remove

SCHEMA = published.of_openapi(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "count": {"type": "integer"},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "tags": {
                "type": "array",
                "items": {"type": "string"},
                "x-kubernetes-list-type": "set",
            },
            "whole": {"type": "array", "items": {"type": "integer"}},
            "items": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["port", "protocol"],
                "items": {
                    "type": "object",
                    "properties": {
                        "port": {"type": "integer"},
                        "protocol": {"type": "string", "default": "TCP"},
                        "value": {"type": "string"},
                    },
                },
            },
            "any": {"x-kubernetes-preserve-unknown-fields": True},
        },
    }
)
WORD = st.sampled_from("abc")
ITEM = st.fixed_dictionaries(
    {"port": st.integers(1, 3)},
    optional={"protocol": st.sampled_from(["TCP", "UDP"]), "value": WORD},
)
OBJECT = st.fixed_dictionaries(
    {},
    optional={
        "name": WORD,
        "count": st.integers(1, 3),
        "labels": st.dictionaries(WORD, WORD, min_size=1),
        "tags": st.lists(WORD, unique=True, min_size=1),
        "whole": st.lists(st.integers(1, 3), min_size=1),
        "items": st.lists(
            ITEM,
            min_size=1,
            unique_by=lambda item: (item["port"], item.get("protocol", "TCP")),
        ),
        "any": st.dictionaries(WORD, st.lists(WORD, min_size=1) | WORD, min_size=1),
    },
)


def leaves(obj: dict[str, Any]) -> dict[tuple[Any, ...], Any]:
    """Every leaf by its path, a list's item named by what it is known by."""
    found: dict[tuple[Any, ...], Any] = {}
    for name, value in obj.items():
        if name in ("labels", "any"):
            found |= {(name, key): item for key, item in value.items()}
        elif name == "tags":
            found |= {(name, item): item for item in value}
        elif name == "items":
            for item in value:
                key = (item["port"], item.get("protocol", "TCP"))
                found |= {(name, key, field): text for field, text in item.items()}
        else:
            found[(name,)] = value
    return found


@given(OBJECT, OBJECT)
def test_a_merge_is_the_union_of_leaves_and_the_configuration_wins(
    live: dict[str, Any], config: dict[str, Any]
) -> None:
    merged = merge(SCHEMA, live, config)
    assert leaves(merged) == leaves(live) | leaves(config)
    assert merge(SCHEMA, merged, config) == merged
    assert check.problems(SCHEMA, merged) == []


@given(OBJECT, OBJECT)
def test_items_keep_the_order_of_the_configuration(
    live: dict[str, Any], config: dict[str, Any]
) -> None:
    merged = merge(SCHEMA, live, config)
    expected = config.get("tags", [])
    assert [tag for tag in merged.get("tags", []) if tag in expected] == expected


@given(OBJECT, OBJECT)
def test_a_comparison_finds_every_leaf_that_differs(old: dict[str, Any], new: Any) -> None:
    found = compare(SCHEMA, old, new)
    before, after = leaves(old), leaves(new)
    assert as_paths(found.removed) == named(before.keys() - after.keys())
    assert as_paths(found.added) == named(after.keys() - before.keys())
    changed = {path for path in before.keys() & after.keys() if before[path] != after[path]}
    assert as_paths(found.modified) == named(changed)


@given(OBJECT, OBJECT)
def test_what_was_added_can_be_removed(live: dict[str, Any], config: dict[str, Any]) -> None:
    merged = merge(SCHEMA, live, config)
    added = compare(SCHEMA, live, merged).added
    left = remove(SCHEMA, merged, added) or {}
    kept = {path: merged_leaf for path, merged_leaf in leaves(merged).items()}
    assert leaves(left) == {path: kept[path] for path in kept if path in leaves(live)}


@given(OBJECT)
def test_collected_fields_are_the_leaves(obj: dict[str, Any]) -> None:
    assert as_paths(collect.collect(SCHEMA, obj)) == named(leaves(obj).keys())


def named(paths: Any) -> set[str]:
    """Paths of leaves as ``fieldset.text`` shows them."""
    result = set()
    for path in paths:
        if path[0] == "tags":
            result.add(f'.tags[="{path[1]}"]')
        elif path[0] == "items":
            port, protocol = path[1]
            result.add(f'.items[port={port},protocol="{protocol}"].{path[2]}')
        else:
            result.add("." + ".".join(path))
    return result


def as_paths(items: fieldset.Set) -> set[str]:
    """The leaves of a set; members that only hold others are left out."""
    found = {fieldset.text(path) for path in fieldset.paths(items)}
    return {
        text
        for text in found
        if not text.endswith("]") or text.startswith(".tags[")
        if text not in (".labels", ".any", ".tags", ".items")
    }


def test_duplicates() -> None:
    twice = {"tags": ["a", "b", "a"]}
    assert check.problems(SCHEMA, twice) == ['.tags: duplicate entries for key [="a"]']
    found = compare(SCHEMA, {"tags": ["b"]}, twice)
    assert fieldset.encode(found.added) == b'{"f:tags":{"v:\\"a\\"":{}}}'
    found = compare(SCHEMA, twice, {"tags": ["a", "b"]})
    assert fieldset.encode(found.removed) == b'{"f:tags":{"v:\\"a\\"":{}}}'
    assert merge(SCHEMA, twice, {"tags": ["a"]}) == {"tags": ["a", "b"]}


def test_null_keeps_what_has_parts_and_replaces_leaves() -> None:
    live = {"labels": {"a": "1"}, "whole": [1], "name": "n"}
    merged = merge(SCHEMA, live, {"labels": None, "whole": None, "name": None})
    assert merged == {"labels": {"a": "1"}, "whole": None, "name": None}


def test_what_does_not_fit() -> None:
    bad = {"name": 1, "nope": True}
    assert check.problems(SCHEMA, bad) == [
        ".name: expected string, got &value.valueUnstructured{Value:1}",
        ".nope: field not declared in schema",
    ]
    found = check.problems(SCHEMA, {"items": [{"value": "x", "protocol": None}, None]})
    assert found == [".items: element 1: associative list with keys may not have a null element"]


def test_a_list_that_became_atomic_is_owned_at_its_top() -> None:
    items = fieldset.of(("f:whole", "v:1"), ("f:whole", "v:2"), ("f:name",))
    assert collect.reconciled(items, SCHEMA) == fieldset.of(("f:whole",), ("f:name",))
    same = fieldset.of(("f:labels", "f:a"))
    assert collect.reconciled(same, SCHEMA) is same
