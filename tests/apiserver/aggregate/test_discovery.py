"""What aggregated API servers serve, in discovery and OpenAPI beside our own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.apiserver.aggregate import backends
from tests.apiserver.aggregate.backends import GROUP, Answer, Asked, Backend
from tests.apiserver.aggregate.test_proxy import available

from trireme.apiserver.aggregate import documents
from trireme.apiserver.discovery import documents as discovery
from trireme.apiserver.openapi import remote
from trireme.apiserver.served import RemoteVersion, Swagger
from trireme.kit.env import Env
from trireme.testing import virtual

WANTED = {"accept": documents.ACCEPT.split(",")[0]}


async def aggregated(ask: Any) -> dict[str, Any]:
    answer = await ask.answer("GET", "/apis", None, WANTED)
    found: dict[str, Any] = json.loads(answer.body)
    return {item["metadata"]["name"]: item["versions"] for item in found["items"]}


@virtual.test()
async def test_a_version_is_listed_with_our_own(env: Env) -> None:
    async with available(env, backends.healthy()) as ask:
        groups = [item["name"] for item in (await ask.must("GET", "/apis"))["groups"]]
        assert groups[0] == "apiregistration.k8s.io"
        # Below 1000, the priority of custom kinds: the last one.
        assert groups[-1] == GROUP
        group = await ask.must("GET", f"/apis/{GROUP}")
        assert group["preferredVersion"] == {"groupVersion": f"{GROUP}/v1", "version": "v1"}
        # The server itself answers for its version.
        listed = await ask.answer("GET", f"/apis/{GROUP}/v1")
        assert json.loads(b"".join([c async for c in listed.chunks]))["kind"] == "APIResourceList"
        [version] = (await aggregated(ask))[GROUP]
        assert version == {
            "version": "v1",
            "resources": backends.RESOURCES,
            "freshness": "Current",
        }


@virtual.test()
async def test_it_is_asked_again_with_the_tag_and_stale_when_it_is_gone(env: Env) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.headers.get("If-None-Match") == '"1"':
            return Answer(304, b"", backends.AS_AGGREGATED)
        return Answer(200, backends.AGGREGATED, {**backends.AS_AGGREGATED, "ETag": '"1"'})

    backend = backends.healthy()
    backend.answers["/apis"] = answer
    async with available(env, backend) as ask:
        await env.clock.sleep(120)
        tags = [each.headers.get("If-None-Match") for each in backend.of("/apis")]
        assert tags[0] is None and tags[1:] == ['"1"'] * (len(tags) - 1) and len(tags) >= 2
        assert {each.headers["X-Remote-Group"] for each in backend.of("/apis")} == {
            "system:masters"
        }
        assert (await aggregated(ask))[GROUP][0]["freshness"] == "Current"
        backend.down = True
        await env.clock.sleep(61)
        stale = (await aggregated(ask))[GROUP][0]
        assert (stale["freshness"], stale["resources"]) == ("Stale", backends.RESOURCES)
        backend.down = False
        await env.clock.sleep(61)
        assert (await aggregated(ask))[GROUP][0]["freshness"] == "Current"


@virtual.test()
async def test_a_server_without_aggregated_discovery(env: Env) -> None:
    backend = Backend({f"/apis/{GROUP}/v1": lambda _: Answer(200, backends.LEGACY)})
    async with available(env, backend) as ask:
        [version] = (await aggregated(ask))[GROUP]
        [nodes] = version["resources"]
        assert (nodes["resource"], nodes["scope"]) == ("nodes", "Cluster")
        [below] = nodes["subresources"]
        assert (below["subresource"], below["responseKind"]["kind"]) == ("proxy", "NodeProxy")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"items":{}}', b'{"items":[{"versions":3}]}', b"{"])
@virtual.test()
async def test_rubbish_is_no_resource(env: Env, body: bytes) -> None:
    backend = backends.healthy()
    for path in ("/apis", "/openapi/v3", "/openapi/v2"):
        backend.answers[path] = lambda _: Answer(200, body, backends.AS_AGGREGATED)
    async with available(env, backend) as ask:
        assert (await aggregated(ask))[GROUP][0]["freshness"] == "Stale"
        assert GROUP not in json.dumps(await ask.must("GET", "/openapi/v2"))


PATH = f"/apis/{GROUP}/v1/nodes"
REF = {"$ref": "#/definitions/x.NodeMetrics"}
SWAGGER = {
    "swagger": "2.0",
    "paths": {
        PATH: {"get": {"responses": {"200": {"description": "OK", "schema": REF}}}},
        "/apis/apps/v1/deployments": {"get": {"operationId": "evil"}},
    },
    "definitions": {
        "x.NodeMetrics": {
            "type": "object",
            "properties": {
                "m": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.Time"}
            },
        },
        "io.k8s.apimachinery.pkg.apis.meta.v1.Time": {"type": "integer"},
        "x.Unused": {"type": "object"},
    },
}


@virtual.test()
async def test_open_api_is_merged(env: Env) -> None:
    backend = backends.healthy()
    own = f"apis/{GROUP}/v1"
    index = {
        own: {"serverRelativeURL": f"/openapi/v3/{own}?hash=7"},
        "apis/apps/v1": {"serverRelativeURL": "/openapi/v3/apis/apps/v1?hash=evil"},
    }
    backend.answers["/openapi/v3"] = lambda _: Answer(200, {"paths": index})
    backend.answers[f"/openapi/v3/{own}"] = lambda _: Answer(200, {"openapi": "3.0.0"})
    backend.answers["/openapi/v2"] = lambda _: Answer(200, SWAGGER)
    async with available(env, backend) as ask:
        paths = json.loads((await ask.answer("GET", "/openapi/v3")).body)["paths"]
        assert paths[own] == index[own]
        assert "evil" not in paths["apis/apps/v1"]["serverRelativeURL"]
        answer = await ask.answer("GET", f"/openapi/v3/{own}?hash=7")
        assert b"".join([chunk async for chunk in answer.chunks]) == b'{"openapi":"3.0.0"}'
        document = await ask.must("GET", "/openapi/v2")
        assert document["paths"][PATH] == SWAGGER["paths"][PATH]  # type: ignore[index]
        deployments = document["paths"]["/apis/apps/v1/deployments"]
        assert "evil" not in json.dumps(deployments)
        definitions = document["definitions"]
        renamed = "io.k8s.apimachinery.pkg.apis.meta.v1.Time_v2"
        assert definitions[renamed] == {"type": "integer"}
        assert definitions["x.NodeMetrics"]["properties"]["m"]["$ref"].endswith(renamed)
        assert "x.Unused" not in definitions
        protobuf = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
        encoded = (await ask.answer("GET", "/openapi/v2", None, {"accept": protobuf})).body
        assert PATH.encode() in encoded and renamed.encode() in encoded


def version(group: str, name: str, priorities: tuple[int, int], **more: Any) -> RemoteVersion:
    fields: dict[str, Any] = {
        "resources": [],
        "is_stale": False,
        "openapi": {},
        "swagger": Swagger({}, {}),
    }
    return RemoteVersion(f"{name}.{group}", group, name, *priorities, **(fields | more))


def test_the_order_is_that_of_the_priorities() -> None:
    own: dict[str, Any] = {
        "": {"v1": []},
        "apiregistration.k8s.io": {"v1": []},
        "apps": {"v1": []},
        "example.com": {"v1": [], "v1beta1": []},
        "z.example.com": {"v1": []},
    }
    others = [
        version("a.example.com", "v1", (1000, 5)),
        version("first.example.com", "v1beta1", (19000, 5)),
        version("example.com", "v2", (10, 200)),
        version("example.com", "v3", (10, 1)),
        version("last.example.com", "v1", (999, 5)),
    ]
    found = discovery.merged(own, others)
    assert list(found) == [
        "",
        "apiregistration.k8s.io",
        "first.example.com",
        "apps",
        "a.example.com",
        "example.com",
        "z.example.com",
        "last.example.com",
    ]
    assert list(found["example.com"]) == ["v2", "v1", "v1beta1", "v3"]


def test_definitions_that_differ_are_renamed_with_those_that_refer_to_them() -> None:
    a, b = {"type": "string"}, {"properties": {"a": {"$ref": "#/definitions/a"}}}
    own: dict[str, Any] = {"a": {"type": "integer"}, "b": b, "same": {"type": "object"}}
    swagger = Swagger(
        {"/x": {"schema": {"$ref": "#/definitions/b"}}}, {"a": a, "b": b, "same": own["same"]}
    )
    whole = remote.addition([version("g", "v1", (1, 1), swagger=swagger)], own.get)
    assert set(whole.definitions) == {"a_v2", "b_v2"}
    assert whole.definitions["b_v2"]["properties"]["a"]["$ref"] == "#/definitions/a_v2"
    assert whole.paths == {"/x": {"schema": {"$ref": "#/definitions/b_v2"}}}
