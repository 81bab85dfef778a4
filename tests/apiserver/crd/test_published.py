"""Custom kinds in discovery and OpenAPI, and several versions of one kind."""

from __future__ import annotations

from typing import Any

from tests.apiserver.crd.conftest import CRDS, WIDGETS, crd_api, definition, version, widget

NAMES = {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]}


def versions() -> list[dict[str, Any]]:
    old = version("v1beta1", storage=False, deprecated=True)
    return [old, version("v2", storage=False), version("v1")]


async def test_discovery() -> None:
    async with crd_api() as ask:
        assert (await ask.warned("GET", "/apis/example.com", {}))[0] == 404
        await ask.install(definition(names=NAMES, versions=versions()))
        group = await ask.must("GET", "/apis/example.com")
        assert [item["version"] for item in group["versions"]] == ["v2", "v1", "v1beta1"]
        listed = await ask.must("GET", "/apis/example.com/v1")
        (got,) = listed["resources"]
        assert (got["name"], got["kind"], got["namespaced"]) == ("widgets", "Widget", True)
        assert (got["shortNames"], got["categories"]) == (["wd"], ["all"])
        groups = await ask.must("GET", "/apis")
        assert groups["groups"][-1]["name"] == "example.com"
        await ask("DELETE", f"{CRDS}/widgets.example.com")
        await ask.gone(f"{CRDS}/widgets.example.com")
        assert (await ask.warned("GET", "/apis/example.com", {}))[0] == 404


async def test_openapi() -> None:
    given = definition()
    properties = given["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    properties["spec"] = properties["spec"] | {
        "properties": {
            "port": {"x-kubernetes-int-or-string": True},
            "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "no": {"type": "string", "nullable": True},
        },
        "required": ["no"],
    }
    async with crd_api(given) as ask:
        index = await ask.must("GET", "/openapi/v3")
        address = index["paths"]["apis/example.com/v1"]["serverRelativeURL"]
        document = await ask.must("GET", address)
        schemas = document["components"]["schemas"]
        widget = schemas["com.example.v1.Widget"]
        assert widget["x-kubernetes-group-version-kind"] == [
            {"group": "example.com", "version": "v1", "kind": "Widget"}
        ]
        spec = widget["properties"]["spec"]["properties"]
        assert spec["port"]["anyOf"] == [{"type": "integer"}, {"type": "string"}]
        assert spec["any"]["type"] == "object"
        assert "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta" in schemas
        assert "/apis/example.com/v1/namespaces/{namespace}/widgets/{name}" in document["paths"]
        whole = await ask.must("GET", "/openapi/v2")
        flat = whole["definitions"]["com.example.v1.Widget"]["properties"]["spec"]
        assert "type" not in flat["properties"]["any"]
        assert "type" not in flat["properties"]["no"]
        assert "required" not in flat
        assert "com.example.v1.WidgetList" in whole["definitions"]


async def test_versions_differ_in_their_name() -> None:
    async with crd_api(definition(versions=versions())) as ask:
        v2 = WIDGETS.replace("/v1/", "/v2/")
        made = await ask.must("POST", v2, widget(api="v2"))
        assert made["apiVersion"] == "example.com/v2"
        assert (await ask.must("GET", f"{WIDGETS}/w"))["apiVersion"] == "example.com/v1"
        listed = await ask.must("GET", v2)
        assert [item["apiVersion"] for item in listed["items"]] == ["example.com/v2"]
        made["spec"]["size"] = 8
        assert (await ask.must("PUT", f"{v2}/w", made))["apiVersion"] == "example.com/v2"
        status, got = await ask("POST", WIDGETS, widget("x", api="v2"))
        assert (status, got["reason"]) == (400, "BadRequest")
        _, warned = await ask.warned("GET", WIDGETS.replace("/v1/", "/v1beta1/"), {})
        assert "example.com/v1beta1 Widget is deprecated; use example.com/v2 Widget" in warned


async def test_the_stored_version_moves() -> None:
    async with crd_api(definition(versions=versions())) as ask:
        made = await ask.must("POST", WIDGETS, widget())
        moved = await ask.must("GET", f"{CRDS}/widgets.example.com")
        for item in moved["spec"]["versions"]:
            item["storage"] = item["name"] == "v2"
        moved = await ask.must("PUT", f"{CRDS}/widgets.example.com", moved)
        assert moved["status"]["storedVersions"] == ["v1", "v2"]
        v2 = WIDGETS.replace("/v1/", "/v2/")
        same = await ask.must("GET", f"{v2}/w")
        assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        # An update that changes nothing stores the object in its new version.
        again = await ask.must("PUT", f"{v2}/w", same)
        assert again["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]
        again["metadata"].pop("managedFields")
        moved["spec"]["versions"] = [item for item in versions() if item["name"] == "v2"]
        moved["spec"]["versions"][0]["storage"] = True
        status, got = await ask("PUT", f"{CRDS}/widgets.example.com", moved)
        assert (status, got["details"]["causes"][0]["field"]) == (422, "status.storedVersions[0]")


async def test_a_default_reaches_what_is_stored_already() -> None:
    async with crd_api(definition()) as ask:
        await ask.must("POST", WIDGETS, widget())
        changed = await ask.must("GET", f"{CRDS}/widgets.example.com")
        schema = changed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        properties = schema["properties"]["spec"]["properties"]
        properties["shape"] = {"type": "string", "default": "round"}
        del properties["color"]
        await ask.must("PUT", f"{CRDS}/widgets.example.com", changed)
        made = await ask.must("GET", f"{WIDGETS}/w")
        assert made["spec"] == {"size": 2, "shape": "round"}
        listed = await ask.must("GET", WIDGETS)
        assert listed["items"][0]["spec"] == made["spec"]


async def test_a_write_is_validated_in_its_own_version() -> None:
    strict = version("v2", storage=False)
    spec = {"type": "object", "properties": {"size": {"type": "integer", "minimum": 100}}}
    strict["schema"] = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    async with crd_api(definition(versions=[version("v1"), strict])) as ask:
        v2 = WIDGETS.replace("/v1/", "/v2/")
        status, got = await ask("POST", v2, widget(api="v2"))
        assert (status, got["details"]["causes"][0]["field"]) == (422, "spec.size")
        # The stored version would demand a size; this one does not.
        made = await ask.must("POST", v2, widget(api="v2", spec={}))
        made["spec"] = {"size": 5}
        assert (await ask("PUT", f"{v2}/w", made))[0] == 422
        status, _ = await ask.patch(f"{v2}/w", {"spec": {"size": 500}}, "merge-patch+json")
        assert status == 200
