"""Asks an aggregated API server what it serves: discovery, OpenAPI v3 and v2.

In: an APIService. Out: a ``RemoteVersion`` for it. What a server does not answer stays as it was
last known, and its discovery is marked stale. What it answers is bounded in size and time, and
read in a thread where it is long. Called by ``availability``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from trireme.api.apiregistration.v1.apiservice import APIService
from trireme.apiserver.aggregate import documents
from trireme.apiserver.aggregate.proxy import DISCOVERY_TIMEOUT
from trireme.apiserver.context import ServerContext
from trireme.apiserver.remote.servers import Fetched, Unreachable
from trireme.apiserver.request import User
from trireme.apiserver.served import RemoteVersion, Swagger

T = TypeVar("T")
# As upstream asks: for discovery with the right to all, for OpenAPI without.
AGGREGATOR = User("system:kube-aggregator", groups=("system:masters",))
_PLAIN_AGGREGATOR = User("system:kube-aggregator")
_OPENAPI = User("system:aggregator")
_OPENAPI_TIMEOUT = 60.0
LIMIT = 32 * 1024 * 1024
# Longer documents are decoded in a thread.
_LONG = 64 * 1024


@dataclass
class Known:
    """What one server has said so far about one version."""

    resources: list[dict[str, Any]] = field(default_factory=list)
    discovery_tag: str = ""
    openapi: dict[str, str] = field(default_factory=dict)
    swagger: Swagger = field(default_factory=lambda: Swagger({}, {}))
    swagger_tag: str = ""


async def refresh(
    context: ServerContext, obj: APIService, known: Known, *, available: bool
) -> RemoteVersion:
    """Ask for all documents again, where the server is available."""
    stale = True
    if available:
        asked = _Asked(context, obj, known)
        steps = asked.discovery, asked.openapi_v3, asked.openapi_v2
        done = [await _done(context, obj, step) for step in steps]
        stale = not done[0]
    spec = obj.spec
    return RemoteVersion(
        name=obj.metadata.name,
        group=spec.group,
        version=spec.version,
        group_priority=spec.groupPriorityMinimum,
        version_priority=spec.versionPriority,
        resources=known.resources,
        is_stale=stale,
        openapi=known.openapi,
        swagger=known.swagger,
    )


async def _done(context: ServerContext, obj: APIService, step: Callable[[], Any]) -> bool:
    try:
        await step()
    except (Unreachable, ValueError, msgspec.MsgspecError) as problem:
        context.env.log.info("apiservice %s: %s", obj.metadata.name, problem)
        return False
    return True


class _Asked:
    def __init__(self, context: ServerContext, obj: APIService, known: Known) -> None:
        self._context = context
        self._obj = obj
        self._known = known
        self._version = obj.spec.group, obj.spec.version

    async def discovery(self) -> None:
        known = self._known
        found = await self._get(
            "/apis", AGGREGATOR, DISCOVERY_TIMEOUT, documents.ACCEPT, known.discovery_tag
        )
        if found.status == 304 and known.discovery_tag:
            return
        if found.status == 503:
            raise Unreachable("/apis: the service is unavailable")
        if found.status == 200 and documents.is_aggregated(found.headers.get("Content-Type", "")):
            known.resources = await _read(found, lambda b: documents.aggregated(b, *self._version))
            known.discovery_tag = found.headers.get("ETag", "")
            return
        path = "/apis/{}/{}".format(*self._version)
        found = await self._get(path, _PLAIN_AGGREGATOR, DISCOVERY_TIMEOUT, "application/json")
        if found.status != 200:
            raise Unreachable(f"{path}: status {found.status}")
        known.resources, known.discovery_tag = await _read(found, documents.legacy), ""

    async def openapi_v3(self) -> None:
        found = await self._get("/openapi/v3", _OPENAPI, _OPENAPI_TIMEOUT)
        if found.status == 404:
            self._known.openapi = {}
            return
        if found.status != 200:
            raise Unreachable(f"/openapi/v3: status {found.status}")
        read = await _read(found, lambda body: documents.openapi_v3(body, *self._version))
        self._known.openapi = read

    async def openapi_v2(self) -> None:
        known = self._known
        found = await self._get(
            "/openapi/v2", _OPENAPI, _OPENAPI_TIMEOUT, "application/json", known.swagger_tag
        )
        if found.status == 304 and known.swagger_tag:
            return
        if found.status not in (200, 404):
            raise Unreachable(f"/openapi/v2: status {found.status}")
        known.swagger_tag = found.headers.get("ETag", "")
        if found.status == 404:
            known.swagger = Swagger({}, {})
            return
        known.swagger = await _read(found, lambda body: documents.openapi_v2(body, *self._version))

    async def _get(
        self, path: str, user: User, timeout: float, accept: str = "", etag: str = ""
    ) -> Fetched:
        servers, reference = self._context.servers, self._obj.spec.service
        assert reference is not None
        address = servers.resolve(reference)
        return await servers.fetch(self._obj, address, path, user, LIMIT, timeout, accept, etag)


async def _read(found: Fetched, read: Callable[[bytes], T]) -> T:
    if len(found.body) < _LONG:
        return read(found.body)
    return await asyncio.to_thread(read, found.body)
