"""Kinds that a definition defines: life cycle, names, verbs, parts, watches."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from tests.apiserver.crd.conftest import CRDS, WIDGETS, crd_api, definition, version, widget
from trireme.apiserver import chain
from trireme.apiserver.request import Request


def conditions(item: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in item["status"]["conditions"]}


async def test_established_and_served() -> None:
    async with crd_api() as ask:
        assert (await ask("GET", WIDGETS))[0] == 404
        made = await ask.install(definition())
        assert conditions(made) == {
            "NamesAccepted": ("True", "NoConflicts"),
            "Established": ("True", "InitialNamesAccepted"),
        }
        assert made["status"]["acceptedNames"] == made["spec"]["names"]
        assert made["spec"]["names"] == {
            "plural": "widgets",
            "singular": "widget",
            "kind": "Widget",
            "listKind": "WidgetList",
        }
        assert made["status"]["storedVersions"] == ["v1"]
        assert made["metadata"]["generation"] == 1
        listed = await ask.must("GET", WIDGETS)
        assert (listed["kind"], listed["apiVersion"]) == ("WidgetList", "example.com/v1")


async def test_an_object_lives() -> None:
    async with crd_api(definition()) as ask:
        status, made = await ask("POST", WIDGETS, widget())
        assert status == 201
        assert made["spec"] == {"size": 2, "color": "blue"}
        assert made["metadata"]["generation"] == 1
        assert made["metadata"]["managedFields"][0]["apiVersion"] == "example.com/v1"
        made["spec"]["size"] = 3
        changed = await ask.must("PUT", f"{WIDGETS}/w", made)
        assert changed["metadata"]["generation"] == 2
        status, again = await ask.patch(
            f"{WIDGETS}/w", {"spec": {"color": "red"}}, "merge-patch+json"
        )
        assert (status, again["spec"]["color"], again["metadata"]["generation"]) == (200, "red", 3)
        steps = [{"op": "remove", "path": "/spec/color"}]
        _, again = await ask.patch(f"{WIDGETS}/w", steps, "json-patch+json")
        assert again["spec"]["color"] == "blue"
        listed = await ask.must("GET", WIDGETS)
        assert listed["items"] == [await ask.must("GET", f"{WIDGETS}/w")]
        assert listed["items"][0]["kind"] == "Widget"
        gone = await ask.must("DELETE", f"{WIDGETS}/w")
        assert (gone["status"], gone["details"]["kind"]) == ("Success", "widgets")
        assert (await ask("GET", f"{WIDGETS}/w"))[0] == 404


async def test_keys_before_metadata_are_nothing_but_content() -> None:
    """A resourceVersion in them is no revision of the object: not in the store, not in a dry run,
    not in the event of an object that leaves a selection."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"data": anything}}
    held = {"data": {"resourceVersion": "\x00", "more": [{"resourceVersion": "7"}]}}
    free = version(schema={"openAPIV3Schema": schema})
    async with crd_api(definition(versions=[free])) as ask:
        sent = {**widget(), **held}
        del sent["spec"]
        sent["metadata"]["labels"] = {"in": "yes"}
        dry = await ask.must("POST", f"{WIDGETS}?dryRun=All", sent)
        assert dry["data"] == held["data"] and "resourceVersion" not in dry["metadata"]
        made = await ask.must("POST", WIDGETS, sent)
        revision = made["metadata"]["resourceVersion"]
        assert made["data"] == held["data"] and int(revision) > 1
        assert (await ask.must("GET", f"{WIDGETS}/w")) == made
        query = f"{WIDGETS}?watch=1&labelSelector=in%3Dyes&resourceVersion={revision}"
        events = await ask.answer("GET", query)
        made["metadata"]["labels"] = {}
        left = await ask.must("PUT", f"{WIDGETS}/w", made)
        event = msgspec.json.decode(await anext(aiter(events.chunks)))
        await events.chunks.aclose()
        assert event["type"] == "DELETED"
        assert event["object"]["data"] == held["data"]
        assert event["object"]["metadata"]["resourceVersion"] == left["metadata"]["resourceVersion"]


async def test_strategic_patches_are_refused() -> None:
    async with crd_api(definition()) as ask:
        await ask.must("POST", WIDGETS, widget())
        status, got = await ask.patch(f"{WIDGETS}/w", {}, "strategic-merge-patch+json")
        assert (status, got["reason"]) == (415, "UnsupportedMediaType")


async def test_apply() -> None:
    async with crd_api(definition()) as ask:
        path = f"{WIDGETS}/w?fieldManager=me"
        given = widget()
        given["spec"]["tags"] = ["a"]
        status, made = await ask.patch(path, given, "apply-patch+yaml")
        assert status == 201, made
        owned = made["metadata"]["managedFields"][0]
        assert owned["fieldsV1"]["f:spec"] == {"f:size": {}, "f:tags": {'v:"a"': {}}}
        other = widget(spec={"size": 2, "tags": ["b"]})
        status, both = await ask.patch(f"{WIDGETS}/w?fieldManager=you", other, "apply-patch+yaml")
        assert (status, both["spec"]["tags"]) == (200, ["a", "b"])
        wrong = widget(spec={"size": 7})
        status, got = await ask.patch(f"{WIDGETS}/w?fieldManager=you", wrong, "apply-patch+yaml")
        assert (status, got["reason"]) == (409, "Conflict")


async def test_unknown_and_duplicate_fields() -> None:
    async with crd_api(definition()) as ask:
        given = widget(spec={"size": 1, "shape": {"a": 1}}, extra=1)
        given["metadata"]["bogus"] = 1
        text = 'unknown field "metadata.bogus", unknown field "extra", unknown field "spec.shape"'
        status, got = await ask("POST", f"{WIDGETS}?fieldValidation=Strict", given)
        assert status == 400
        assert got["message"].endswith(f"strict decoding error: {text}"), got
        status, warned = await ask.warned("POST", f"{WIDGETS}?fieldValidation=Warn", given)
        assert status == 201
        assert warned.count("unknown field") == 3
        made = await ask.must("GET", f"{WIDGETS}/w")
        assert made["spec"] == {"size": 1, "color": "blue"}
        assert "extra" not in made


async def test_invalid_objects() -> None:
    async with crd_api(definition()) as ask:
        given = widget(spec={"size": 0, "color": "green", "tags": ["a", "a"]})
        status, got = await ask("POST", WIDGETS, given)
        assert (status, got["details"]["kind"]) == (422, "Widget")
        found = {(cause["field"], cause["message"]) for cause in got["details"]["causes"]}
        assert found == {
            (
                "spec.size",
                "Invalid value: 0: spec.size in body should be greater than or equal to 1",
            ),
            ("spec.color", 'Unsupported value: "green": supported values: "blue", "red"'),
            ("spec.tags[1]", 'Duplicate value: "a"'),
        }
        status, got = await ask("POST", WIDGETS, widget(kind="Gadget"))
        assert (status, got["details"]["causes"][0]["message"]) == (
            422,
            'Invalid value: "Gadget": must be Widget',
        )


async def test_what_was_wrong_may_stay_wrong() -> None:
    async with crd_api(definition()) as ask:
        await ask.must("POST", WIDGETS, widget())
        stricter = await ask.must("GET", f"{CRDS}/widgets.example.com")
        schema = stricter["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        schema["properties"]["spec"]["properties"]["size"]["minimum"] = 5
        await ask.must("PUT", f"{CRDS}/widgets.example.com", stricter)
        path = f"{WIDGETS}/w"
        status, _ = await ask.patch(path, {"spec": {"color": "red"}}, "merge-patch+json")
        assert status == 200
        status, _ = await ask.patch(path, {"spec": {"size": 3}}, "merge-patch+json")
        assert status == 422


async def test_names_conflict_until_they_are_free() -> None:
    async with crd_api(definition()) as ask:
        second = definition("gizmos", "Widget")
        await ask.must("POST", CRDS, second)
        held = await ask.until("gizmos.example.com", "NamesAccepted", "False")
        assert conditions(held)["NamesAccepted"] == ("False", "ListKindConflict")
        assert conditions(held)["Established"] == ("False", "NotAccepted")
        assert held["status"]["acceptedNames"]["plural"] == "gizmos"
        await ask("DELETE", f"{CRDS}/widgets.example.com")
        await ask.until("gizmos.example.com", "Established")


async def test_deletion_takes_the_instances_along() -> None:
    async with crd_api(definition()) as ask:
        held = widget("held")
        held["metadata"]["finalizers"] = ["example.com/hold"]
        await ask.must("POST", WIDGETS, held)
        await ask.must("POST", WIDGETS, widget("free"))
        status, got = await ask("DELETE", f"{CRDS}/widgets.example.com")
        assert status == 200
        assert "customresourcecleanup.apiextensions.k8s.io" in got["metadata"]["finalizers"]
        assert conditions(got)["Terminating"] == ("True", "InstanceDeletionPending")
        await ask.gone(f"{WIDGETS}/free")
        status, got = await ask("POST", WIDGETS, widget("late"))
        assert (status, got["reason"]) == (403, "Forbidden")
        assert (
            "create not allowed while custom resource definition is terminating" in got["message"]
        )
        steps = [{"op": "remove", "path": "/metadata/finalizers"}]
        await ask.patch(f"{WIDGETS}/held", steps, "json-patch+json")
        await ask.gone(f"{CRDS}/widgets.example.com")
        assert (await ask("GET", WIDGETS))[0] == 404


PARTS = {
    "status": {},
    "scale": {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    },
}


async def test_status_has_a_path_of_its_own() -> None:
    async with crd_api(definition(versions=[version(subresources=PARTS)])) as ask:
        made = await ask.must("POST", WIDGETS, widget(status={"replicas": 9}))
        assert "status" not in made
        made["status"] = {"replicas": 4}
        made["spec"]["size"] = 9
        made["metadata"]["labels"] = {"a": "b"}
        written = await ask.must("PUT", f"{WIDGETS}/w/status", made)
        assert written["status"] == {"replicas": 4}
        assert (written["spec"]["size"], written["metadata"]["generation"]) == (2, 1)
        assert "labels" not in written["metadata"]
        status, got = await ask.patch(
            f"{WIDGETS}/w/status", {"status": {"replicas": "x"}}, "merge-patch+json"
        )
        assert (status, got["details"]["causes"][0]["field"]) == (422, "status.replicas")
        changed = await ask.must(
            "PUT",
            f"{WIDGETS}/w",
            widget(metadata=written["metadata"], spec={"size": 5}, status={"replicas": 1}),
        )
        assert (changed["status"], changed["metadata"]["generation"]) == ({"replicas": 4}, 2)


async def test_scale() -> None:
    async with crd_api(definition(versions=[version(subresources=PARTS)])) as ask:
        await ask.must("POST", WIDGETS, widget())
        status, got = await ask("GET", f"{WIDGETS}/w/scale")
        assert (status, "the spec replicas field" in got["message"]) == (500, True)
        await ask.patch(f"{WIDGETS}/w", {"spec": {"replicas": 3}}, "merge-patch+json")
        scale = await ask.must("GET", f"{WIDGETS}/w/scale")
        assert (scale["kind"], scale["spec"]) == ("Scale", {"replicas": 3})
        scale["spec"]["replicas"] = 5
        assert (await ask.must("PUT", f"{WIDGETS}/w/scale", scale))["spec"] == {"replicas": 5}
        made = await ask.must("GET", f"{WIDGETS}/w")
        assert made["spec"]["replicas"] == 5
        status, got = await ask.patch(
            f"{WIDGETS}/w", {"spec": {"replicas": -1}}, "merge-patch+json"
        )
        assert got["details"]["causes"][0]["message"] == (
            "Invalid value: -1: should be a non-negative integer"
        )


COLUMNS = [
    {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
    {"name": "Tags", "type": "string", "jsonPath": ".spec.tags"},
    {"name": "Color", "type": "string", "jsonPath": ".spec.color", "priority": 1},
]


async def test_columns() -> None:
    async with crd_api(definition(versions=[version(additionalPrinterColumns=COLUMNS)])) as ask:
        await ask.must("POST", WIDGETS, widget(spec={"size": 4, "tags": ["a", "b"]}))
        accept = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
        _, table = await ask("GET", WIDGETS, None, accept)
        assert [item["name"] for item in table["columnDefinitions"]] == [
            "Name", "Size", "Tags", "Color",
        ]  # fmt: skip
        assert table["rows"][0]["cells"] == ["w", 4, '["a","b"]', "blue"]


async def test_selectable_fields() -> None:
    given = definition(versions=[version(selectableFields=[{"jsonPath": ".spec.color"}])])
    async with crd_api(given) as ask:
        await ask.must("POST", WIDGETS, widget("a"))
        await ask.must("POST", WIDGETS, widget("b", spec={"size": 1, "color": "red"}))
        found = await ask.must("GET", f"{WIDGETS}?fieldSelector=spec.color%3Dred")
        assert [item["metadata"]["name"] for item in found["items"]] == ["b"]
        status, _ = await ask("GET", f"{WIDGETS}?fieldSelector=spec.size%3D1")
        assert status == 400


async def watch(ask: Any, path: str) -> Any:
    request = Request("GET", path, "watch=true&timeoutSeconds=100", {}, b"", user=ask.user)
    answer = await chain.handle(ask.server, request)
    return (chunk async for chunk in answer.chunks if chunk)


async def test_watches_end_with_what_they_watch() -> None:
    async with crd_api(definition(), definition("gears", "Gear")) as ask:
        widgets = await watch(ask, WIDGETS)
        gears = await watch(ask, WIDGETS.replace("widgets", "gears"))
        first = asyncio.ensure_future(anext(widgets))
        other = asyncio.ensure_future(anext(gears))
        await asyncio.sleep(0)
        await ask.must("POST", WIDGETS, widget())
        event = msgspec.json.decode(await first)
        assert (event["type"], event["object"]["kind"]) == ("ADDED", "Widget")
        rest = asyncio.ensure_future(anext(widgets, None))
        await asyncio.sleep(0)
        changed = await ask.must("GET", f"{CRDS}/widgets.example.com")
        changed["spec"]["names"]["shortNames"] = ["wd"]
        await ask.must("PUT", f"{CRDS}/widgets.example.com", changed)
        assert await rest is None
        assert not other.done()
        await ask("DELETE", f"{CRDS}/gears.example.com")
        await ask.gone(f"{CRDS}/gears.example.com")
        assert await asyncio.gather(other, return_exceptions=True)
        await widgets.aclose()
        await gears.aclose()


async def test_a_manager_may_apply_in_another_version() -> None:
    versions = [version("v1beta1", storage=False), version("v1")]
    async with crd_api(definition(versions=versions)) as ask:
        for api in ("v1beta1", "v1", "v1beta1"):
            path = f"/apis/example.com/{api}/namespaces/default/widgets/w?fieldManager=m"
            status, made = await ask.patch(path, widget(api=api), "apply-patch+yaml")
            assert status in (200, 201), made
            assert made["apiVersion"] == f"example.com/{api}"
            (entry,) = made["metadata"]["managedFields"]
            assert entry["apiVersion"] == f"example.com/{api}"
