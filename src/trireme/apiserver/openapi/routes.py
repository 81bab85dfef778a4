"""/openapi/v3: an index with hashes, and one document per group and version; /openapi/v2: one for
all. Documents are made when they are asked for.

A document's address carries its hash, so that clients keep it for ever. Upstream: KEP-2896.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from trireme.apiserver.config import VERSION
from trireme.apiserver.discovery import documents
from trireme.apiserver.handlers import Route
from trireme.apiserver.openapi import paths, schemas, v2
from trireme.apiserver.reply import reply
from trireme.apiserver.reply.reply import AnyReply, Reply
from trireme.apiserver.request import Request
from trireme.apiserver.server import ApiServer
from trireme.machinery.resource import Resource

V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

_DEFINITIONS = ("apiextensions.k8s.io", "v1", "customresourcedefinitions")


async def answer(server: ApiServer, request: Request) -> AnyReply:
    """The index at /openapi/v3, the documents below it."""
    parts = request.path.strip("/").split("/")[2:]
    found = documents.groups(server.catalog.resources)
    if not parts:
        return reply.encoded({"paths": _index(found)})
    group, version = _group_version(parts)
    resources = found.get(group, {}).get(version) if version else None
    if resources is None:
        return Reply(404, b"404 page not found\n", "text/plain; charset=utf-8")
    key = "/".join(parts)
    body = server.openapi_documents.get(key)
    if body is None:
        body = msgspec.json.encode(document(resources))
        server.openapi_documents[key] = body
    answered = Reply(200, body)
    if request.param("hash"):
        answered.headers["Cache-Control"] = "public, immutable"
    answered.headers["ETag"] = f'"{_hash(resources)}"'
    return answered


def document(resources: list[Resource]) -> dict[str, Any]:
    """The OpenAPI v3 document of a group and version."""
    definitions = schemas.load()
    names = schemas.names_by_kind(definitions)
    roots = list(schemas.COMMON)
    operations: dict[str, Any] = {}
    for resource in resources:
        name = names.get((resource.group, resource.version, resource.kind))
        if name is None:
            continue
        listed = names.get((resource.group, resource.version, f"{resource.kind}List"), name)
        roots += [name, listed]
        operations |= paths.of(resource, name, listed)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": dict(sorted(operations.items())),
        "components": {"schemas": schemas.reachable(definitions, roots)},
    }


async def swagger(server: ApiServer, request: Request) -> AnyReply:
    """The whole API as one v2 document, as JSON or as protobuf."""
    accepted = request.headers.get("accept", "")
    form = "protobuf" if "com.github.proto-openapi.spec.v2" in accepted else "json"
    body = server.openapi_documents.get(f"v2/{form}")
    if body is None:
        whole = document(list(server.catalog.resources))
        flat = v2.document(whole["paths"], whole["components"]["schemas"], VERSION)
        if _DEFINITIONS not in server.endpoints:
            _leave_validation_to_clients(flat)
        body = v2.encode(flat) if form == "protobuf" else msgspec.json.encode(flat)
        server.openapi_documents[f"v2/{form}"] = body
    answered = Reply(200, body)
    if form == "protobuf":
        answered.content_type = V2_PROTOBUF
    answered.headers["Vary"] = "Accept"
    return answered


def _leave_validation_to_clients(flat: dict[str, Any]) -> None:
    """Leave out that PATCH of a Namespace validates fields.

    Where a kind has no PATCH in v3 (the reviews), or is none at all, kubectl looks here for that
    parameter; finding it, kubectl lists CustomResourceDefinitions, and gives up where they are not
    served. Not finding it, kubectl checks the fields itself: upstream's outcome for these kinds.
    """
    patch = flat["paths"].get("/api/v1/namespaces/{name}", {}).get("patch")
    if patch is not None:
        patch["parameters"] = [
            item for item in patch["parameters"] if item["name"] != "fieldValidation"
        ]


def _index(found: dict[str, dict[str, list[Resource]]]) -> dict[str, Any]:
    index = {}
    for group, versions in found.items():
        for version, resources in versions.items():
            path = f"apis/{group}/{version}" if group else f"api/{version}"
            address = f"/openapi/v3/{path}?hash={_hash(resources)}"
            index[path] = {"serverRelativeURL": address}
    return index


def _hash(resources: list[Resource]) -> str:
    """What a document is made from: the kinds and the version of their published types."""
    told = [documents.api_resource_list("", [resource]) for resource in resources]
    return hashlib.sha512(VERSION.encode() + msgspec.json.encode(told)).hexdigest().upper()


def _group_version(parts: list[str]) -> tuple[str, str]:
    if len(parts) == 2 and parts[0] == "api":
        return "", parts[1]
    if len(parts) == 3 and parts[0] == "apis":
        return parts[1], parts[2]
    return "", ""


V2 = Route("/openapi/v2", swagger)
ROUTE = Route("/openapi/v3", answer, prefix=True)
