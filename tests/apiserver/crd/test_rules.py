"""CEL rules of custom kinds: transitions, messages, reasons, ratcheting, cost, static checks."""

from __future__ import annotations

from typing import Any

from tests.apiserver.crd.conftest import CRDS, WIDGETS, crd_api, definition, version, widget


def ruled(rules: list[dict[str, Any]], **properties: Any) -> dict[str, Any]:
    spec = {
        "type": "object",
        "properties": {
            "size": {"type": "integer"},
            "most": {"type": "integer", "default": 10},
            "name": {"type": "string", "maxLength": 20},
            **properties,
        },
        "x-kubernetes-validations": rules,
    }
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    return definition(versions=[version(schema=schema)])


async def test_rules_hold() -> None:
    rules = [
        {"rule": "self.size <= self.most", "message": "too big"},
        {"rule": "!has(self.name) || self.name != 'bad'", "reason": "FieldValueForbidden",
         "fieldPath": ".name", "messageExpression": "'never ' + self.name"},
    ]  # fmt: skip
    async with crd_api(ruled(rules)) as ask:
        status, got = await ask("POST", WIDGETS, widget(spec={"size": 20, "name": "bad"}))
        assert status == 422
        assert [(item["field"], item["message"]) for item in got["details"]["causes"]] == [
            ("spec", "Invalid value: too big"),
            ("spec.name", "Forbidden: never bad"),
        ]
        assert (await ask("POST", WIDGETS, widget(spec={"size": 9})))[0] == 201
        status, got = await ask("POST", WIDGETS, widget("x", spec={"size": "a"}))
        assert got["details"]["causes"][1] == {
            "reason": "FieldValueInvalid",
            "field": "<nil>",
            "message": "Invalid value: null: some validation rules were not checked because the "
            "object was invalid; correct the existing errors to complete validation",
        }


async def test_transitions() -> None:
    rules: list[dict[str, Any]] = [
        {"rule": "self.size >= oldSelf.size"},
        {"rule": "!oldSelf.hasValue() || self.size < 100", "optionalOldSelf": True},
    ]
    async with crd_api(ruled(rules)) as ask:
        await ask.must("POST", WIDGETS, widget(spec={"size": 5}))
        status, got = await ask.patch(f"{WIDGETS}/w", {"spec": {"size": 4}}, "merge-patch+json")
        assert (status, got["details"]["causes"][0]["message"]) == (
            422,
            "Invalid value: failed rule: self.size >= oldSelf.size",
        )
        status, _ = await ask.patch(f"{WIDGETS}/w", {"spec": {"size": 6}}, "merge-patch+json")
        assert status == 200
        status, _ = await ask.patch(f"{WIDGETS}/w", {"spec": {"size": 100}}, "merge-patch+json")
        assert status == 422


async def test_what_did_not_change_may_go_on_failing() -> None:
    async with crd_api(ruled([])) as ask:
        await ask.must("POST", WIDGETS, widget(spec={"size": 50}))
        stricter = await ask.must("GET", f"{CRDS}/widgets.example.com")
        schema = stricter["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        schema["properties"]["spec"]["x-kubernetes-validations"] = [{"rule": "self.size < 10"}]
        await ask.must("PUT", f"{CRDS}/widgets.example.com", stricter)
        labels = {"metadata": {"labels": {"a": "b"}}}
        assert (await ask.patch(f"{WIDGETS}/w", labels, "merge-patch+json"))[0] == 200
        same = await ask.must("GET", f"{WIDGETS}/w")
        same["metadata"]["labels"] = {"a": "c"}
        status, warned = await ask.warned("PUT", f"{WIDGETS}/w", same)
        assert (status, "failed rule: self.size < 10" in warned) == (200, True)
        changed = {"spec": {"name": "n"}}
        assert (await ask.patch(f"{WIDGETS}/w", changed, "merge-patch+json"))[0] == 422


async def refused(given: dict[str, Any]) -> list[tuple[str, str]]:
    async with crd_api() as ask:
        status, got = await ask("POST", CRDS, given)
        assert status == 422, got
        return [(item["field"], item["message"]) for item in got["details"]["causes"]]


RULES = "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations"


async def test_bad_rules_are_refused() -> None:
    [(where, detail)] = await refused(ruled([{"rule": "self.size == 'a'"}]))
    assert where == f"{RULES}[0].rule"
    assert (
        "compilation failed: ERROR: <input>:1:11: found no matching overload for '_==_'" in detail
    )
    [(where, detail)] = await refused(ruled([{"rule": "self.size"}]))
    assert detail.endswith("cel expression must evaluate to a bool")
    [(where, detail)] = await refused(ruled([{"rule": "true", "optionalOldSelf": True}]))
    assert where == f"{RULES}[0].optionalOldSelf"


async def test_dear_rules_are_refused() -> None:
    tags = {"type": "array", "items": {"type": "string"}}
    rule = {"rule": "self.tags.all(a, self.tags.all(b, a == b))"}
    found = await refused(ruled([rule], tags=tags))
    assert found[0][0] == f"{RULES}[0].rule"
    assert found[0][1].startswith(
        "Forbidden: estimated rule cost exceeds budget by factor of more than 100x (try"
    )
    assert found[-1][0] == "spec.validation.openAPIV3Schema"


async def test_old_values_need_a_place() -> None:
    items = {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}],
             "maxLength": 5}  # fmt: skip
    [(where, detail)] = await refused(
        ruled([], tags={"type": "array", "maxItems": 5, "items": items})
    )
    assert where.endswith("properties[tags].items.x-kubernetes-validations[0].rule")
    assert detail.endswith(
        "oldSelf cannot be used on the uncorrelatable portion of the schema within "
        "spec.validation.openAPIV3Schema.properties[spec].properties[tags]"
    )
