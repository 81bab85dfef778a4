"""What an aggregated API server says of itself, read and checked: pure.

In: the bodies of its discovery and OpenAPI documents. Out: the resources of one version of a group
as aggregated discovery has them, and the OpenAPI documents and paths of that version. ValueError
for what is no such document. Upstream: kube-aggregator ``handler_discovery.go``, controllers
``openapi`` and ``openapiv3``; apiserver ``endpoints/discovery/aggregated``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from trireme.apiserver.served import Swagger

V2, V2BETA1 = "v2", "v2beta1"
# What is asked for, the best first.
ACCEPT = ",".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    for version in (V2, V2BETA1)
)
_REF = "#/definitions/"
_OMITTED = ("acceptedTypes", "categories", "shortNames", "subresources")


class _Kind(msgspec.Struct):
    group: str = ""
    version: str = ""
    kind: str = ""


class _Subresource(msgspec.Struct):
    subresource: str
    responseKind: _Kind | None = None
    acceptedTypes: list[_Kind] = []
    verbs: list[str] = []


class _Resource(msgspec.Struct):
    resource: str
    responseKind: _Kind | None = None
    scope: str = ""
    singularResource: str = ""
    verbs: list[str] = []
    shortNames: list[str] = []
    categories: list[str] = []
    subresources: list[_Subresource] = []


class _Version(msgspec.Struct):
    version: str
    resources: list[_Resource] = []


class _Meta(msgspec.Struct):
    name: str = ""


class _Group(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    versions: list[_Version] = []


class _GroupList(msgspec.Struct):
    items: list[_Group] = []


class _Listed(msgspec.Struct):
    """An APIResource."""

    name: str
    kind: str = ""
    singularName: str = ""
    namespaced: bool = False
    group: str = ""
    version: str = ""
    verbs: list[str] = []
    shortNames: list[str] = []
    categories: list[str] = []


class _ResourceList(msgspec.Struct):
    resources: list[_Listed] = []


class _Root(msgspec.Struct):
    paths: dict[str, dict[str, Any]] = {}


def is_aggregated(content_type: str) -> bool:
    """Whether an answer is an APIGroupDiscoveryList."""
    parameters = dict(part.strip().partition("=")[::2] for part in content_type.split(";")[1:])
    return (
        parameters.get("g") == "apidiscovery.k8s.io"
        and parameters.get("as") == "APIGroupDiscoveryList"
        and parameters.get("v") in (V2, V2BETA1)
    )


def aggregated(body: bytes, group: str, version: str) -> list[dict[str, Any]]:
    """The resources of a version in an APIGroupDiscoveryList; none where it is not there."""
    found = msgspec.json.decode(body, type=_GroupList)
    for each in found.items:
        if each.metadata.name == group:
            for one in each.versions:
                if one.version == version:
                    return _plain(one.resources)
    return []


def legacy(body: bytes) -> list[dict[str, Any]]:
    """The resources of an APIResourceList, each with its subresources."""
    listed = msgspec.json.decode(body, type=_ResourceList).resources
    found: dict[str, _Resource] = {}
    for item in sorted(listed, key=lambda item: "/" in item.name):
        kind, scope = _Kind(item.group, item.version, item.kind), _scope(item)
        parent, slash, name = item.name.partition("/")
        if not slash:
            found[parent] = _Resource(
                parent,
                kind,
                scope,
                item.singularName,
                item.verbs,
                item.shortNames,
                item.categories,
            )
            continue
        # A subresource alone stands below a resource that has no verbs.
        owner = found.setdefault(parent, _Resource(parent, _Kind(), scope))
        owner.subresources = [*owner.subresources, _Subresource(name, kind, [], item.verbs)]
    return _plain(list(found.values()))


def _scope(item: _Listed) -> str:
    return "Namespaced" if item.namespaced else "Cluster"


def _plain(resources: list[_Resource]) -> list[dict[str, Any]]:
    """With a kind everywhere: old clients take it for granted."""
    for each in resources:
        each.responseKind = each.responseKind or _Kind()
        for below in each.subresources:
            below.responseKind = below.responseKind or _Kind()
    return [_without_empty(each) for each in msgspec.to_builtins(resources)]


def _without_empty(resource: dict[str, Any]) -> dict[str, Any]:
    """Without the lists that Go leaves out where they are empty."""
    below = [_without_empty(each) for each in resource.get("subresources", ())]
    kept = {key: value for key, value in resource.items() if value or key not in _OMITTED}
    return kept | {"subresources": below} if below else kept


def openapi_v3(body: bytes, group: str, version: str) -> dict[str, str]:
    """The addresses of the OpenAPI v3 documents about a version, by their paths."""
    paths = msgspec.json.decode(body, type=_Root).paths
    found: dict[str, str] = {}
    for path in (f"apis/{group}", f"apis/{group}/{version}"):
        address = paths.get(path, {}).get("serverRelativeURL")
        if isinstance(address, str) and address.startswith(f"/openapi/v3/{path}"):
            found[path] = address
    return found


def openapi_v2(body: bytes, group: str, version: str) -> Swagger:
    """The operations of a version in an OpenAPI v2 document, and the definitions that they use."""
    whole = msgspec.json.decode(body)
    if not isinstance(whole, dict):
        raise ValueError("an OpenAPI document is no object")
    below = f"/apis/{group}/{version}/"
    paths = {
        path: item
        for path, item in _mapping(whole, "paths").items()
        if path.startswith(below) and isinstance(item, dict)
    }
    definitions = _mapping(whole, "definitions")
    used: dict[str, Any] = {}
    waiting = list(references(paths))
    while waiting:
        name = waiting.pop()
        if name not in used and isinstance(definitions.get(name), dict):
            used[name] = definitions[name]
            waiting += references(used[name])
    return Swagger(paths, used)


def _mapping(whole: dict[str, Any], key: str) -> dict[str, Any]:
    found = whole.get(key)
    return found if isinstance(found, dict) else {}


def references(value: Any) -> Iterator[str]:
    """The definitions that a value refers to."""
    if isinstance(value, dict):
        ref = value.get("$ref")
        if isinstance(ref, str) and ref.startswith(_REF):
            yield ref[len(_REF) :]
        for below in value.values():
            yield from references(below)
    elif isinstance(value, list):
        for below in value:
            yield from references(below)
