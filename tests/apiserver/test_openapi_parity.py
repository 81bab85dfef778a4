"""What is published equals what upstream publishes: operations, definitions, kinds in discovery."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests import upstream_definitions
from tests.apiserver import parity
from trireme.apiserver import chain
from trireme.apiserver.request import Request, User
from trireme.apiserver.server import ApiServer
from trireme.testing import control_plane

ADMIN = User("admin", groups=("system:masters",))
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
SHORT = {"application/vnd.kubernetes.protobuf": "protobuf", "*/*": "*"}


async def fetch(server: ApiServer, path: str, accept: str = "") -> Any:
    path, _, query = path.partition("?")
    headers = {"accept": accept} if accept else {}
    answer = await chain.handle(server, Request("GET", path, query, headers, user=ADMIN))
    assert answer.status == 200, (path, answer.status)
    return msgspec.json.decode(answer.body)


def shortly(media: list[str]) -> str:
    names = []
    for each in media:
        bare, stream, _ = each.partition(";stream=watch")
        name = SHORT.get(bare, bare.removeprefix("application/"))
        names.append(name + ("+watch" if stream else ""))
    return ",".join(sorted(names)) or "-"


def got(path: str, method: str, operation: dict[str, Any], shared: list[Any]) -> parity.Operation:
    """An operation of the v2 document as a line of the table."""
    taken = {f"{item['in'][0]}:{item['name']}" for item in operation.get("parameters", []) + shared}
    gvk = operation.get("x-kubernetes-group-version-kind")
    kind = "/".join(filter(None, (gvk["group"], gvk["version"], gvk["kind"]))) if gvk else "-"
    return parity.Operation(
        path,
        method.upper(),
        operation["operationId"],
        operation.get("x-kubernetes-action", "-"),
        kind,
        ",".join(sorted(taken)) or "-",
        ",".join(sorted(operation["responses"])),
        shortly(operation.get("consumes", [])),
        shortly(operation.get("produces", [])),
    )


async def test_operations_are_those_of_upstream() -> None:
    async with control_plane.api_server(**parity.EVERYTHING) as server:
        document = await fetch(server, "/openapi/v2")
    ours = {
        (path, method.upper()): got(path, method, operation, item.get("parameters", []))
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }
    theirs = {(item.path, item.method): item for item in parity.operations()}
    assert not ours.keys() - theirs.keys()
    missing = {
        key: item
        for key, item in theirs.items()
        if key not in ours and item.path not in parity.WITHOUT
    }
    assert not missing, list(missing)[:3]
    different = [(ours[key], theirs[key]) for key in ours if ours[key] != theirs[key]]
    assert not different, different[:3]


async def test_v2_and_v3_tell_the_same_operations() -> None:
    async with control_plane.api_server() as server:
        document = await fetch(server, "/openapi/v2")
        index = await fetch(server, "/openapi/v3")
        names: set[str] = set()
        for entry in index["paths"].values():
            part = await fetch(server, entry["serverRelativeURL"])
            names |= {
                operation["operationId"]
                for item in part["paths"].values()
                for method, operation in item.items()
                if method != "parameters"
            }
            unresolved = set(references(part)) - part["components"]["schemas"].keys()
            assert not unresolved
    assert names == {
        operation["operationId"]
        for item in document["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    }


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [name for item in value for name in references(item)]
    if not isinstance(value, dict):
        return []
    found = [name for item in value.values() for name in references(item)]
    if isinstance(value.get("$ref"), str):
        found.append(value["$ref"].rpartition("/")[2])
    return found


async def test_every_kind_has_a_definition() -> None:
    async with control_plane.api_server(**parity.EVERYTHING) as server:
        ours = (await fetch(server, "/openapi/v2"))["definitions"]
    published = {
        (item["group"], item["version"], item["kind"])
        for schema in ours.values()
        for item in schema.get("x-kubernetes-group-version-kind", ())
    }
    assert not ours.keys() - upstream_definitions.load().keys()
    absent = [
        item.name
        for item in parity.kinds()
        if (item.group, item.version, item.kind) not in published
    ]
    assert not absent


@pytest.mark.parametrize("everything", [False, True], ids=["default", "everything"])
async def test_kinds_in_discovery_are_those_of_upstream(everything: bool) -> None:
    settings: dict[str, Any] = parity.EVERYTHING if everything else {}
    theirs = {item.name: item for item in parity.kinds() if everything or item.on}
    async with control_plane.api_server(**settings) as server:
        documents = [await fetch(server, path, AGGREGATED) for path in ("/api", "/apis")]
        hashes = {}
        for item in documents[0]["items"] + documents[1]["items"]:
            group = item["metadata"].get("name", "")
            for version in item["versions"]:
                path = f"/apis/{group}" if group else "/api"
                listed = await fetch(server, f"{path}/{version['version']}")
                for each in listed["resources"]:
                    name = f"{group}/{version['version']}/{each['name']}"
                    hashes[name] = each.get("storageVersionHash", "")
    ours = {}
    for item in documents[0]["items"] + documents[1]["items"]:
        group = item["metadata"].get("name", "")
        for version in item["versions"]:
            for each in version["resources"]:
                kind = parity.Kind(
                    group,
                    version["version"],
                    True,
                    each["responseKind"]["kind"],
                    each["resource"],
                    each["singularResource"],
                    tuple(each.get("shortNames", ())),
                    tuple(each.get("categories", ())),
                    each["scope"] == "Namespaced",
                    tuple(each["verbs"]),
                    hashes[f"{group}/{version['version']}/{each['resource']}"],
                )
                ours[kind.name] = kind
    assert not ours.keys() - theirs.keys()
    assert not theirs.keys() - ours.keys()
    different = [
        (ours[name], theirs[name]._replace(on=True))
        for name in ours
        if ours[name] != theirs[name]._replace(on=True)
    ]
    assert not different, different[:3]
