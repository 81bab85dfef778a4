"""The OpenAPI v3 documents of what a server serves: one for each path of the API. Pure.

In: the endpoints, the media types, and the definitions of kinds that came at run time. Out: the
documents by path (``api/v1``, ``apis/apps``, ``version``), their hashes, and all of them as one.
"""

from __future__ import annotations

import hashlib
from collections import ChainMap
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from trireme.apiserver.config import VERSION
from trireme.apiserver.crd.published import Published
from trireme.apiserver.discovery import documents as discovery
from trireme.apiserver.endpoint import Served
from trireme.apiserver.openapi import general, paths, schemas
from trireme.machinery.resource import Resource

_SECURITY = {
    "BearerToken": {
        "type": "apiKey",
        "in": "header",
        "name": "authorization",
        "description": "A bearer token.",
    }
}


class Source:
    """Documents of one state of the server; ``published`` are the definitions of custom kinds."""

    def __init__(
        self,
        endpoints: tuple[Served, ...],
        media: tuple[str, ...],
        published: Published,
    ) -> None:
        self.endpoints = endpoints
        self._media = media
        self._added = published
        self._groups = discovery.groups(endpoint.resource for endpoint in endpoints)
        self._served = {id(endpoint.resource): endpoint.served for endpoint in endpoints}
        self._kept: dict[str, bytes] = {}
        self._documents = self._list()
        self._digests: dict[str, str] = {}

    def documents(self) -> Mapping[str, Any]:
        """The paths of all documents."""
        return self._documents

    def document(self, path: str) -> dict[str, Any]:
        """One document. KeyError where there is none."""
        operations, resources = self._documents[path]
        return self._finish(operations(), resources, self._added)

    def whole(self) -> dict[str, Any]:
        """All documents as one, with every definition."""
        operations: dict[str, Any] = {}
        resources: list[Resource] = []
        for make, concerned in self._documents.values():
            operations |= make()
            resources += concerned
        return self._finish(operations, resources, self._added.for_v2())

    def digest(self, path: str) -> str:
        """What changes when the document does: made from the kinds, not from the document."""
        known = self._digests.get(path)
        if known is None:
            _, resources = self._documents[path]
            told = [discovery.api_resource_list("", [item]) for item in resources]
            own = [self._added.stamp((item.group, item.version, item.kind)) for item in resources]
            raw = msgspec.json.encode([VERSION, path, self._media, told, own])
            known = self._digests[path] = hashlib.sha512(raw).hexdigest().upper()
        return known

    def kept(self, name: str, make: Callable[[], bytes]) -> bytes:
        """An encoded document, made at the first call."""
        body = self._kept.get(name)
        if body is None:
            body = self._kept[name] = make()
        return body

    def _list(self) -> dict[str, tuple[Callable[[], dict[str, Any]], list[Resource]]]:
        """Path → how its operations are made, and the kinds that they are about."""
        media = self._media
        found: dict[str, tuple[Callable[[], dict[str, Any]], list[Resource]]] = {
            ".well-known/openid-configuration": (general.configuration, []),
            "api": (lambda: general.core(media), []),
            "apis": (lambda: general.all_groups(media), []),
            "openid/v1/jwks": (general.key_set, []),
            "version": (general.version, []),
        }
        for group, versions in self._groups.items():
            if group:
                found[f"apis/{group}"] = (lambda group=group: general.group(group, media), [])
            for version, resources in versions.items():
                path = f"apis/{group}/{version}" if group else f"api/{version}"
                found[path] = (
                    lambda g=group, v=version, r=resources: self._of_version(g, v, r),
                    resources,
                )
        return found

    def _of_version(self, group: str, version: str, resources: list[Resource]) -> dict[str, Any]:
        operations = general.group_version(group, version, self._media)
        for resource in resources:
            served = self._served[id(resource)]
            custom = "application/vnd.kubernetes.protobuf" not in served
            patches = paths.CUSTOM_PATCHES if custom else paths.PATCHES
            operations |= paths.of(resource, paths.Style(served, self._named, patches))
        return operations

    def _named(self, group: str, version: str, kind: str) -> str:
        key = group, version, kind
        known = schemas.published_names().get(key) or self._added.by_kind.get(key)
        return known or schemas.default_name(group, version, kind)

    def _finish(
        self, operations: dict[str, Any], resources: list[Resource], added: Published
    ) -> dict[str, Any]:
        definitions: Mapping[str, Any] = ChainMap(schemas.load(), added)  # type: ignore[arg-type]
        roots = schemas.references(operations)
        if resources:
            roots += schemas.COMMON
        return {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": VERSION},
            "paths": dict(sorted(operations.items())),
            "components": {
                "schemas": schemas.reachable(definitions, roots),
                "securitySchemes": _SECURITY,
            },
        }
