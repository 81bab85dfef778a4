"""Null in custom resources, where it is allowed and where not, as upstream's API server has it.

In what a client sends as an object, null where it is not allowed counts as absent. In what it
applies it counts as null, and the schema refuses it: somebody would own a field that is not there.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.apiserver.crd.conftest import WIDGETS, crd_api, definition, version, widget

TEXT = {"type": "string"}
OPTIONAL = TEXT | {"nullable": True}
SPEC = {
    "type": "object",
    "properties": {
        "text": TEXT,
        "optional": OPTIONAL,
        "defaulted": TEXT | {"default": "x"},
        "object": {"type": "object", "properties": {"a": TEXT}},
        "list": {"type": "array", "items": TEXT},
        "loose": {"type": "array", "items": OPTIONAL},
        "map": {"type": "object", "additionalProperties": TEXT},
        "records": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["k"],
            "items": {
                "type": "object",
                "required": ["k"],
                "properties": {"k": TEXT, "v": TEXT, "o": OPTIONAL},
            },
        },
        "any": {"x-kubernetes-preserve-unknown-fields": True},
    },
}
# A field, its value, where null is refused if it is applied, and what a POST makes of it.
REFUSED = [
    ("text", None, "spec.text", "string", {}),
    ("object", None, "spec.object", "object", {}),
    ("object", {"a": None}, "spec.object.a", "string", {"object": {}}),
    ("list", None, "spec.list", "array", {}),
    ("records", [{"k": "a", "v": None}], "spec.records[0].v", "string", {"records": [{"k": "a"}]}),
]
KEPT = [
    ("optional", None, {"optional": None}),
    ("loose", ["a", None], {"loose": ["a", None]}),
    ("records", [{"k": "a", "o": None}], {"records": [{"k": "a", "o": None}]}),
]


def kind() -> dict[str, Any]:
    schema = {"type": "object", "properties": {"spec": SPEC}}
    return definition(versions=[version(schema={"openAPIV3Schema": schema})])


def owners(obj: dict[str, Any]) -> dict[str, Any]:
    entries = obj["metadata"].get("managedFields", [])
    return {entry["manager"]: entry["fieldsV1"].get("f:spec") for entry in entries}


@pytest.mark.parametrize(("name", "value", "path", "kind_", "posted"), REFUSED)
async def test_where_it_is_not_allowed(
    name: str, value: Any, path: str, kind_: str, posted: dict[str, Any]
) -> None:
    async with crd_api(kind()) as ask:
        made = await ask.must("POST", WIDGETS, widget("p", spec={name: value}))
        assert made["spec"] == {"defaulted": "x"} | posted
        here = f"{WIDGETS}/w?fieldManager=m&force=true"
        status, answer = await ask.patch(here, widget(spec={name: value}), "apply-patch+yaml")
        detail = f'{path}: Invalid value: "null": {path} in body must be of type {kind_}: "null"'
        assert (status, answer["message"]) == (422, f'Widget.example.com "w" is invalid: {detail}')
        assert (await ask("GET", f"{WIDGETS}/w"))[0] == 404
        there, merged = await ask.patch(f"{WIDGETS}/p", {"spec": {name: value}}, "merge-patch+json")
        assert there == 200
        assert merged["spec"] == made["spec"]
        status, _ = await ask.patch(
            f"{WIDGETS}/p?fieldManager=m", widget("p", spec={name: value}), "apply-patch+yaml"
        )
        assert status == 422
        assert owners(await ask.must("GET", f"{WIDGETS}/p")) == owners(made)


@pytest.mark.parametrize(("name", "value", "served"), KEPT)
async def test_where_it_is_allowed(name: str, value: Any, served: dict[str, Any]) -> None:
    async with crd_api(kind()) as ask:
        made = await ask.must("POST", WIDGETS, widget("p", spec={name: value}))
        assert made["spec"] == {"defaulted": "x"} | served
        here = f"{WIDGETS}/w?fieldManager=m"
        status, applied = await ask.patch(here, widget(spec={name: value}), "apply-patch+yaml")
        assert (status, applied["spec"]) == (201, {"defaulted": "x"} | served)
        assert f"f:{name}" in owners(applied)["m"]
        assert await ask.patch(here, widget(spec={name: value}), "apply-patch+yaml") == (
            200,
            applied,
        )


async def test_a_default_takes_its_place() -> None:
    async with crd_api(kind()) as ask:
        made = await ask.must("POST", WIDGETS, widget("p", spec={"defaulted": None}))
        assert made["spec"] == {"defaulted": "x"}
        here = f"{WIDGETS}/w?fieldManager=m"
        status, applied = await ask.patch(
            here, widget(spec={"defaulted": None}), "apply-patch+yaml"
        )
        assert (status, applied["spec"]) == (201, {"defaulted": "x"})
        assert owners(applied) == {"m": {"f:defaulted": {}}}


async def test_nobody_is_shown_a_null_that_no_schema_allows() -> None:
    async with crd_api(kind()) as ask:
        here = f"{WIDGETS}/w?fieldManager=m"
        status, applied = await ask.patch(here, widget(spec={"any": None}), "apply-patch+yaml")
        assert (status, applied["spec"]) == (201, {"defaulted": "x"})
        assert (await ask.must("GET", f"{WIDGETS}/w"))["spec"] == {"defaulted": "x"}
