"""The published operations of a kind: paths, parameters, bodies and answers. Pure.

In: a ``Resource`` and the names of its definitions. Out: OpenAPI v3 path items, each operation with
``x-kubernetes-action`` and ``x-kubernetes-group-version-kind``; kubectl reads there which
parameters (fieldValidation, dryRun) a kind's PATCH takes.
"""

from __future__ import annotations

from typing import Any

from trireme.machinery.resource import Resource

_REF = "#/components/schemas/"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_MEDIA = ("application/json", "application/yaml")
PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
_LIST_QUERY = {
    "allowWatchBookmarks": "boolean",
    "continue": "string",
    "fieldSelector": "string",
    "labelSelector": "string",
    "limit": "integer",
    "resourceVersion": "string",
    "resourceVersionMatch": "string",
    "sendInitialEvents": "boolean",
    "timeoutSeconds": "integer",
    "watch": "boolean",
}
_WRITE_QUERY = {"dryRun": "string", "fieldManager": "string", "fieldValidation": "string"}
_DELETE_QUERY = {
    "dryRun": "string",
    "gracePeriodSeconds": "integer",
    "orphanDependents": "boolean",
    "propagationPolicy": "string",
}


def of(resource: Resource, schema: str, listed: str) -> dict[str, Any]:
    """Path → path item for a kind, its collection, and its status and scale."""
    base = f"/apis/{resource.group}" if resource.group else "/api"
    base += f"/{resource.version}"
    scoped = f"{base}/namespaces/{{namespace}}" if resource.namespaced else base
    collection = f"{scoped}/{resource.plural}"
    paths: dict[str, Any] = {collection: _collection(resource, schema, listed)}
    if resource.namespaced and "list" in resource.verbs:
        everywhere = _operation(resource, "list", listed, _LIST_QUERY)
        paths[f"{base}/{resource.plural}"] = {"get": everywhere}
    if "get" in resource.verbs:
        paths[f"{collection}/{{name}}"] = _item(resource, schema, resource.verbs)
    for sub in resource.subresources:
        if sub.name == "status":
            paths[f"{collection}/{{name}}/status"] = _item(resource, schema, sub.verbs)
    return {path: item for path, item in paths.items() if item}


def _collection(resource: Resource, schema: str, listed: str) -> dict[str, Any]:
    item: dict[str, Any] = {}
    if "list" in resource.verbs:
        item["get"] = _operation(resource, "list", listed, _LIST_QUERY)
    if "create" in resource.verbs:
        item["post"] = _operation(resource, "post", schema, _WRITE_QUERY, body=schema)
    if "deletecollection" in resource.verbs:
        query = {**_LIST_QUERY, **_DELETE_QUERY}
        item["delete"] = _operation(
            resource, "deletecollection", _META + "Status", query, body=_META + "DeleteOptions"
        )
    if item and resource.namespaced:
        item["parameters"] = [_path_parameter("namespace")]
    return item


def _item(resource: Resource, schema: str, verbs: tuple[str, ...]) -> dict[str, Any]:
    item: dict[str, Any] = {"get": _operation(resource, "get", schema, {})}
    if "update" in verbs:
        item["put"] = _operation(resource, "put", schema, _WRITE_QUERY, body=schema)
    if "patch" in verbs:
        query = {**_WRITE_QUERY, "force": "boolean"}
        item["patch"] = _operation(
            resource, "patch", schema, query, body=_META + "Patch", media=PATCHES
        )
    if "delete" in verbs:
        item["delete"] = _operation(
            resource,
            "delete",
            _META + "Status",
            _DELETE_QUERY,
            body=_META + "DeleteOptions",
        )
    names = ("name", "namespace") if resource.namespaced else ("name",)
    item["parameters"] = [_path_parameter(name) for name in names]
    return item


def _operation(
    resource: Resource,
    action: str,
    answer: str,
    query: dict[str, str],
    *,
    body: str = "",
    media: tuple[str, ...] = ("*/*",),
) -> dict[str, Any]:
    group = resource.group.partition(".")[0] or "core"
    told: dict[str, Any] = {
        "tags": [f"{group}_{resource.version}"],
        "parameters": [
            {"name": name, "in": "query", "schema": {"type": type_, "uniqueItems": True}}
            for name, type_ in query.items()
        ],
        "responses": {
            "200": {
                "description": "OK",
                "content": {kind: {"schema": {"$ref": _REF + answer}} for kind in _MEDIA},
            },
            "401": {"description": "Unauthorized"},
        },
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {
            "group": resource.group,
            "version": resource.version,
            "kind": resource.kind,
        },
    }
    if body:
        told["requestBody"] = {
            "content": {kind: {"schema": {"$ref": _REF + body}} for kind in media},
            "required": action != "delete" and action != "deletecollection",
        }
    return told


def _path_parameter(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "uniqueItems": True},
    }
