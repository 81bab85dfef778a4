"""The three patches: what they give, what they refuse, and that they leave their inputs alone."""

from __future__ import annotations

import copy
import json
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trireme.machinery import errors, meta
from trireme.machinery.patch import json_patch, merge_patch, strategic
from trireme.machinery.schema import decode, tree
from trireme.machinery.types import Atomic, Int32, Merge, RetainKeys, Struct, always, listmap


def apply_json(document: Any, *items: dict[str, Any]) -> Any:
    before = copy.deepcopy((document, items))
    steps, _ = json_patch.parse(json.dumps(items).encode(), decode.STRICT)
    result = json_patch.apply(document, steps)
    assert (document, items) == before
    return result


@pytest.mark.parametrize(
    ("document", "items", "expected"),
    [
        ({}, [{"op": "add", "path": "/a", "value": 1}], {"a": 1}),
        ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}], {"a": [1, 2]}),
        ({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2, 3]}),
        ({"a": [1, 2]}, [{"op": "remove", "path": "/a/-1"}], {"a": [1]}),
        ({"a": {"b": 1}}, [{"op": "remove", "path": "/a/b"}], {"a": {}}),
        ({"a": 1}, [{"op": "replace", "path": "/a", "value": [2]}], {"a": [2]}),
        ({}, [{"op": "replace", "path": "/a", "value": 2}], {"a": 2}),
        ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 1}}], {"b": 1}),
        ({"a": 1}, [{"op": "move", "from": "/a", "path": "/b"}], {"b": 1}),
        ({"a": {"x": 1}}, [{"op": "copy", "from": "/a", "path": "/b"},
                           {"op": "add", "path": "/b/y", "value": 2}],
         {"a": {"x": 1}, "b": {"x": 1, "y": 2}}),
        ({"a": {}}, [{"op": "add", "path": "/a/k", "value": {}},
                     {"op": "copy", "from": "/a", "path": "/b"},
                     {"op": "add", "path": "/b/k/z", "value": 1}],
         {"a": {"k": {}}, "b": {"k": {"z": 1}}}),
        ({"a/b": {"c~d": 1}}, [{"op": "test", "path": "/a~1b/c~0d", "value": 1}],
         {"a/b": {"c~d": 1}}),
        ({"a": 1}, [{"op": "test", "path": "/b"}], {"a": 1}),
        ({"": {"": 1}}, [{"op": "replace", "path": "//", "value": 2}], {"": {"": 2}}),
        ({"a": 1}, [], {"a": 1}),
    ],
)  # fmt: skip
def test_json_patch(document: Any, items: list, expected: Any) -> None:
    assert apply_json(document, *items) == expected


@pytest.mark.parametrize(
    ("document", "item"),
    [
        ({"a": 1}, {"op": "test", "path": "/a", "value": 2}),
        ({"a": 1}, {"op": "test", "path": "/a", "value": True}),
        ({"a": 1}, {"op": "test", "path": "/a", "value": 1.0}),
        ({"a": 1}, {"op": "test", "path": "/b", "value": 2}),
        ({"a": 1}, {"op": "remove", "path": "/b"}),
        ({"a": 1}, {"op": "add", "path": "/a/b", "value": 1}),
        ({"a": 1}, {"op": "add", "path": "/b/c", "value": 1}),
        ({"a": []}, {"op": "add", "path": "/a/1", "value": 1}),
        ({"a": []}, {"op": "add", "path": "/a/x", "value": 1}),
        ({"a": [1]}, {"op": "replace", "path": "/a/1", "value": 1}),
        ({"a": [1]}, {"op": "remove", "path": "/a/-2"}),
        ({"a": 1}, {"op": "add", "path": "", "value": {}}),
        ({"a": 1}, {"op": "move", "from": "/a", "path": "/a/b"}),
        ({"a": 1}, {"op": "move", "path": "/b"}),
        ({"a": 1}, {"op": "jump", "path": "/b"}),
        ({"a": 1}, {"op": "add", "value": 1}),
    ],
)
def test_json_patch_that_does_not_apply(document: Any, item: dict) -> None:
    with pytest.raises(errors.ApiError) as caught:
        apply_json(document, item)
    error = caught.value
    assert (error.code, error.reason) == (422, "Invalid")
    assert error.message == "the server rejected our request due to an error in our request"
    assert error.details is not None and error.details.causes[0].message


def test_json_patch_bodies() -> None:
    with pytest.raises(errors.ApiError, match=r"error decoding patch: json: cannot unmarshal obj"):
        json_patch.parse(b"{}")
    with pytest.raises(errors.ApiError, match="unexpected end of JSON input"):
        json_patch.parse(b"[")
    body = b'[{"op":"add","path":"/a","value":1,"foo":2}]'
    assert json_patch.parse(body)[1] == ['json patch unknown field "[0].foo"']
    assert json_patch.parse(body, decode.STRICT) == json_patch.parse(body)
    assert json_patch.parse(body, decode.IGNORE)[1] == []
    for data, detail in (
        (b"{}", "json: cannot unmarshal object into Go value of type jsonpatch.Patch"),
        (b"[1]", "json: cannot unmarshal number into Go value of type jsonpatch.Operation"),
        (b"[", "unexpected end of JSON input"),
        (b'[{"op":1,"path":"/a"}]', "the server rejected our request"),
    ):
        with pytest.raises(errors.ApiError) as caught:
            json_patch.parse(data, decode.IGNORE)
        assert caught.value.message.startswith(detail)
    many = json.dumps([{"op": "test", "path": "/a"}] * 10_001).encode()
    with pytest.raises(errors.ApiError, match="maximum operations in a JSON patch is 10000, got"):
        json_patch.parse(many)


def test_json_patch_bombs_are_defused() -> None:
    doubling = [{"op": "copy", "from": "/a", "path": "/a/-"}] * 60
    with pytest.raises(errors.ApiError) as caught:
        apply_json({"a": ["x"]}, *doubling)
    assert caught.value.code == 422
    nesting = [{"op": "add", "path": "/a" * n, "value": {}} for n in range(1, 1500)]
    with pytest.raises(errors.ApiError):
        apply_json({}, *nesting)


scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x", "~/"])
plain = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab/~"), inner),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from("abc"), plain, max_size=3)


def difference(old: Any, new: Any, path: str = "") -> list[dict[str, Any]]:
    """A JSON patch from ``old`` to ``new``, compared by members and items."""
    if json_patch.same(old, new):
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        steps = []
        for key in old.keys() | new.keys():
            here = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
            if key not in new:
                steps.append({"op": "remove", "path": here})
            elif key not in old:
                steps.append({"op": "add", "path": here, "value": new[key]})
            else:
                steps += difference(old[key], new[key], here)
        return steps
    if isinstance(old, list) and isinstance(new, list):
        shared = min(len(old), len(new))
        steps = []
        for index in range(shared):
            steps += difference(old[index], new[index], f"{path}/{index}")
        steps += [{"op": "remove", "path": f"{path}/{shared}"}] * (len(old) - shared)
        return steps + [{"op": "add", "path": f"{path}/-", "value": item} for item in new[shared:]]
    return [{"op": "replace", "path": path, "value": new}]


@given(objects, objects)
def test_json_patch_takes_any_document_to_any_other(old: dict, new: dict) -> None:
    steps = difference(old, new)
    result = apply_json(old, *steps)
    assert json_patch.same(result, new)


@pytest.mark.parametrize(
    ("document", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": "foo"}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
    ],
)
def test_merge_patch(document: dict, patch: dict, expected: dict) -> None:
    before = copy.deepcopy((document, patch))
    assert merge_patch.apply(document, patch) == expected
    assert (document, patch) == before


@given(objects, objects)
def test_merge_patch_twice_is_merge_patch_once(document: dict, patch: dict) -> None:
    once = merge_patch.apply(document, patch)
    assert merge_patch.apply(once, patch) == once


def test_merge_patch_bodies() -> None:
    twice = b'{"a":1,"a":2}'
    assert merge_patch.parse(twice) == ({"a": 2}, ['duplicate field "a"'])
    assert merge_patch.parse(twice, decode.STRICT) == merge_patch.parse(twice)
    assert merge_patch.parse(twice, decode.IGNORE) == ({"a": 2}, [])
    # The whole document becomes a list, which is no object of any kind.
    assert merge_patch.parse(b"[]", decode.IGNORE) == ([], [])
    for data, detail in (
        (b"[]", "error decoding patch: json: cannot unmarshal array into Go value of type map"),
        (b"null", "Invalid JSON Patch"),
        (b"{", "error decoding patch: unexpected end of JSON"),
    ):
        with pytest.raises(errors.ApiError) as caught:
            merge_patch.parse(data)
        assert caught.value.message.startswith(detail)
    for data in (b"{", b"1", b"null"):
        with pytest.raises(errors.ApiError, match="Invalid JSON Patch"):
            merge_patch.parse(data, decode.IGNORE)


class Item(Struct):
    name: str = always(str)
    value: str = ""
    tags: Annotated[list[str], Merge()] = []
    below: Annotated[list[Item], Merge("name")] = []


class Strategy(Struct):
    type: str = ""
    rolling: dict[str, str] = {}
    other: dict[str, str] = {}


class Spec(Struct):
    items: Annotated[list[Item], listmap("name"), Merge("name")] = []
    numbers: Annotated[list[Int32], Merge()] = []
    replaced: Annotated[list[Item], Atomic()] = []
    strategy: Annotated[Strategy | None, RetainKeys()] = None
    map: dict[str, str] = {}
    byName: dict[str, Item] = {}


class Thing(Struct):
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Spec = always(Spec)


NODE = tree.of(Thing)
SPEC = tree.of(Spec)


def merge(document: dict, patch: dict) -> dict:
    before = copy.deepcopy((document, patch))
    result = strategic.apply(document, patch, SPEC)
    assert (document, patch) == before
    return result


def named(*names: str) -> list[dict]:
    return [{"name": name} for name in names]


@pytest.mark.parametrize(
    ("document", "patch", "expected"),
    [
        ({}, {"map": {"a": "1", "b": None}}, {"map": {"a": "1"}}),
        ({"map": {"a": "1"}}, {"map": {"a": None, "c": "2"}}, {"map": {"c": "2"}}),
        ({"map": {"a": "1"}}, {"map": None}, {}),
        ({"map": {"a": "1"}}, {"map": {"$patch": "replace", "b": "2"}}, {"map": {"b": "2"}}),
        ({"map": {"a": "1"}}, {"map": {"$patch": "delete"}}, {"map": {}}),
        ({}, {"map": {"$patch": "delete"}}, {}),
        # Merged by key: patched items first, unless the server had others before them.
        ({"items": named("a", "b")}, {"items": named("c")}, {"items": named("c", "a", "b")}),
        (
            {"items": [{"name": "a", "value": "1"}, {"name": "b"}]},
            {"items": [{"name": "b", "value": "2"}]},
            {"items": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]},
        ),
        (
            {"items": named("a", "b", "c")},
            {"items": [{"name": "b", "$patch": "delete"}]},
            {"items": named("a", "c")},
        ),
        (
            {"items": named("a", "b")},
            {"items": [{"$patch": "replace"}, {"name": "c"}]},
            {"items": named("c")},
        ),
        (
            {"items": [{"name": "a", "below": named("x", "y"), "tags": ["t"]}]},
            {"items": [{"name": "a", "below": [{"name": "x", "value": "1"}], "tags": ["u"]}]},
            {"items": [{"name": "a", "tags": ["u", "t"],
                        "below": [{"name": "x", "value": "1"}, {"name": "y"}]}]},
        ),
        (
            {"items": named("a", "b", "c")},
            {"$setElementOrder/items": named("c", "a"), "items": [{"name": "a", "value": "1"}]},
            {"items": [{"name": "b"}, {"name": "c"}, {"name": "a", "value": "1"}]},
        ),
        ({"items": named("a", "b")}, {"$setElementOrder/items": named("b", "a")},
         {"items": named("b", "a")}),
        ({"items": []}, {"$setElementOrder/items": []}, {"items": []}),
        # Upstream gives the slot of what is deleted to what is added, before it sorts.
        (
            {"items": named("e", "b", "c")},
            {"$setElementOrder/items": named("a", "b"),
             "items": [{"name": "a"}, {"name": "b", "$patch": "delete"}]},
            {"items": named("e", "c", "a")},
        ),
        ({"replaced": named("a")}, {"replaced": named("b")}, {"replaced": named("b")}),
        ({"numbers": [1, 2]}, {"numbers": [3, 1]}, {"numbers": [3, 1, 2]}),
        ({"numbers": [1, 2, 3]}, {"$deleteFromPrimitiveList/numbers": [2, 9]},
         {"numbers": [1, 3]}),
        ({}, {"$deleteFromPrimitiveList/numbers": [2]}, {}),
        (
            {"numbers": [1, 2]},
            {"$setElementOrder/numbers": [3, 2], "numbers": [3],
             "$deleteFromPrimitiveList/numbers": [1]},
            {"numbers": [3, 2]},
        ),
        (
            {"strategy": {"type": "R", "rolling": {"a": "1"}, "other": {"b": "1"}}},
            {"strategy": {"$retainKeys": ["type"], "type": "X", "rolling": None}},
            {"strategy": {"type": "X"}},
        ),
        (
            {"byName": {"k": {"name": "n", "below": named("x")}}},
            {"byName": {"k": {"below": named("y")}}},
            {"byName": {"k": {"name": "n", "below": named("y", "x")}}},
        ),
    ],
)  # fmt: skip
def test_strategic_merge(document: dict, patch: dict, expected: dict) -> None:
    assert merge(document, patch) == expected


@pytest.mark.parametrize(
    ("document", "patch", "code", "message"),
    [
        ({}, {"$patch": "boom"}, 400, "unknown patch type: boom in map: map[$patch:boom]"),
        ({"items": named("a")}, {"items": [{"value": "x"}]}, 400,
         "map: map[value:x] does not contain declared merge key: name"),
        ({"items": named("a")}, {"items": [{"$patch": "delete"}]}, 400,
         "map: map[$patch:delete] does not contain declared merge key: name"),
        ({"items": named("a")}, {"items": [{"name": "a", "$patch": "merge"}]}, 400,
         "merging lists cannot yet be specified in the patch"),
        ({"items": named("a")}, {"items": ["a"]}, 400,
         "list element types are not identical: [[map[name:a]] [a]]"),
        ({"numbers": [1]}, {"numbers": [[1]]}, 422,
         "the server rejected our request due to an error in our request"),
        ({"strategy": {}}, {"strategy": {"$retainKeys": ["type"], "other": {}}}, 400,
         "invalid patch format of retainKeys"),
        ({"strategy": {}}, {"strategy": {"$retainKeys": "type"}}, 400,
         "invalid patch format of retainKeys"),
        ({}, {"$deleteFromPrimitiveList": []}, 400, "invalid patch format of primitive list"),
        ({}, {"$setElementOrder": []}, 400, "invalid patch format of setElementOrder list"),
        ({}, {"$setElementOrder/items": {}}, 400, "invalid patch format of setElementOrder list"),
        ({}, {"$setElementOrder/foo": []}, 400,
         'unable to find api field in struct Spec for the json field "foo"'),
        ({}, {"$setElementOrder/items": named("a"), "items": named("b")}, 400,
         "The order in patch list:\n[map[name:b]]\n doesn't match $setElementOrder list:\n"
         "[map[name:a]]\n"),
    ],
)  # fmt: skip
def test_strategic_merge_refuses(document: dict, patch: dict, code: int, message: str) -> None:
    with pytest.raises(errors.ApiError) as caught:
        merge(document, patch)
    assert (caught.value.code, caught.value.message) == (code, message)


def test_strategic_bodies() -> None:
    assert strategic.parse(b'{"a":{"b":1,"b":2}}')[1] == ['duplicate field "a.b"']
    with pytest.raises(errors.ApiError, match="cannot unmarshal array into Go value of type map"):
        strategic.parse(b"[]")


items = st.lists(
    st.builds(
        lambda name, value, tags: {"name": name, "value": value, "tags": tags},
        st.sampled_from("abcd"), st.sampled_from("xy"),
        st.lists(st.sampled_from("pqr"), max_size=2, unique=True),
    ),
    max_size=4, unique_by=lambda item: item["name"],
)  # fmt: skip
specs = st.fixed_dictionaries(
    {},
    optional={
        "items": items,
        "numbers": st.lists(st.integers(0, 5), max_size=3, unique=True),
        "map": st.dictionaries(st.sampled_from("ab"), st.sampled_from("12") | st.none()),
        "$deleteFromPrimitiveList/numbers": st.lists(st.integers(6, 9), max_size=2),
    },
)


@given(specs, specs)
def test_strategic_merge_is_idempotent(document: dict, patch: dict) -> None:
    document = merge({}, document)
    once = merge(document, patch)
    assert merge(once, patch) == once
    names = [item["name"] for item in once.get("items", [])]
    assert len(names) == len(set(names))


def test_large_lists_merge_in_linear_time() -> None:
    many = named(*map(str, range(5000)))
    result = merge({"items": many}, {"items": many, "$setElementOrder/items": many})
    assert result["items"] == many
