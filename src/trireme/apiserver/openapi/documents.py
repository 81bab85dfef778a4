"""The OpenAPI v3 documents of what a server serves: one for each path of the API. Pure.

In: the endpoints, the media types, and the definitions of kinds that came at run time. Out: the
documents by path (``api/v1``, ``apis/apps``, ``version``), their hashes, and all of them as one.
With thousands of custom kinds that takes seconds, so it is done in steps of about a millisecond.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import ChainMap
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import msgspec

from trireme.apiserver.config import VERSION
from trireme.apiserver.discovery import documents as discovery
from trireme.apiserver.endpoint import ServedVersion
from trireme.apiserver.openapi import general, paths, schemas
from trireme.apiserver.openapi.custom_kinds import Published
from trireme.apiserver.served import RemoteVersion
from trireme.machinery.resource import Resource

_SECURITY = {
    "BearerToken": {
        "type": "apiKey",
        "in": "header",
        "name": "authorization",
        "description": "A bearer token.",
    }
}


T = TypeVar("T")
# Work that is done step by step.
Steps = Generator[None, None, T]


class Encoded(NamedTuple):
    """A document as it is sent, and its hash."""

    body: bytes
    digest: str


class Source:
    """Documents of one state of the server; ``published`` are the definitions of custom kinds."""

    def __init__(
        self,
        endpoints: tuple[ServedVersion, ...],
        media: tuple[str, ...],
        published: Published,
        remote: tuple[RemoteVersion, ...] = (),
    ) -> None:
        self.endpoints = endpoints
        self.remote = remote
        self._media = media
        self._added = published
        self._groups = discovery.groups(endpoint.resource for endpoint in endpoints)
        self._served = {id(endpoint.resource): endpoint.served for endpoint in endpoints}
        self._kept: dict[str, Encoded] = {}
        self._lock = asyncio.Lock()
        self._documents = self._list()
        self._digests: dict[str, str] = {}

    def documents(self) -> Mapping[str, Any]:
        """The paths of all documents."""
        return self._documents

    def document(self, path: str) -> Steps[dict[str, Any]]:
        """One document. KeyError where there is none."""
        return self._make([self._documents[path]], self._added)

    def whole(self) -> Steps[dict[str, Any]]:
        """All documents as one, with every definition."""
        return self._make(self._documents.values(), self._added.for_v2())

    def digest(self, path: str) -> str:
        """What changes when the document does: made from the kinds, not from the document."""
        known = self._digests.get(path)
        if known is None:
            resources = self._documents[path].resources
            listed = [discovery.api_resource_list("", [item]) for item in resources]
            own = [
                self._added.fingerprint((item.group, item.version, item.kind)) for item in resources
            ]
            raw = msgspec.json.encode([VERSION, path, self._media, listed, own])
            known = self._digests[path] = hashlib.sha512(raw).hexdigest().upper()
        return known

    async def kept(self, name: str, make: Callable[[], Steps[bytes]]) -> Encoded:
        """An encoded document, made at the first call; others are served between its steps."""
        known = self._kept.get(name)
        if known is not None:
            return known
        async with self._lock:
            if name not in self._kept:
                body = await _in_steps(make())
                self._kept[name] = Encoded(body, hashlib.sha512(body).hexdigest().upper())
            return self._kept[name]

    def _list(self) -> dict[str, _Part]:
        media = self._media
        found = {
            ".well-known/openid-configuration": _Part([general.configuration]),
            "api": _Part([lambda: general.core(media)]),
            "apis": _Part([lambda: general.all_groups(media)]),
            "openid/v1/jwks": _Part([general.key_set]),
            "version": _Part([general.version]),
        }
        for group, versions in self._groups.items():
            if group:
                found[f"apis/{group}"] = _Part([partial(general.group, group, media)])
            for version, resources in versions.items():
                path = f"apis/{group}/{version}" if group else f"api/{version}"
                about = partial(general.group_version, group, version, media)
                of_each = [partial(self._operations, resource) for resource in resources]
                found[path] = _Part([about, *of_each], resources)
        return found

    def _operations(self, resource: Resource) -> dict[str, Any]:
        served = self._served[id(resource)]
        custom = "application/vnd.kubernetes.protobuf" not in served
        patches = paths.CUSTOM_PATCHES if custom else paths.PATCHES
        return paths.of(resource, paths.Style(served, self._named, patches))

    def _named(self, group: str, version: str, kind: str) -> str:
        key = group, version, kind
        known = schemas.published_names().get(key) or self._added.by_kind.get(key)
        return known or schemas.default_name(group, version, kind)

    def _make(self, parts: Iterable[_Part], added: Published) -> Steps[dict[str, Any]]:
        # ChainMap is for mutable maps, but nobody writes here.
        definitions: Mapping[str, Any] = ChainMap(schemas.load(), added)  # type: ignore[arg-type]
        operations: dict[str, Any] = {}
        roots: list[str] = []
        for part in parts:
            for make in part.makers:
                made = make()
                operations |= made
                roots += schemas.references(made)
                yield
            if part.resources:
                roots += schemas.COMMON
        return {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": VERSION},
            "paths": dict(sorted(operations.items())),
            "components": {
                "schemas": (yield from schemas.reachable(definitions, roots)),
                "securitySchemes": _SECURITY,
            },
        }


class _Part(NamedTuple):
    """What makes the operations of a document, and the kinds that it is about."""

    makers: list[Callable[[], dict[str, Any]]]
    resources: Sequence[Resource] = ()


async def _in_steps(work: Steps[bytes]) -> bytes:
    """Take every step of some work, and let others run in between."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            made: bytes = done.value
            return made
        await asyncio.sleep(0)
