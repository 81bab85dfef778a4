"""The client of an API server: typed verbs for every kind, plain ones for everything served.

In: types and objects of ``trireme.api``. Out: the same, decoded once. Every component has a client
of its own, with the transport that carries its identity. Errors: ``ApiError`` (refused),
``transport.Unreachable`` (no answer, an OSError), ``codec.Unreadable`` (not what was promised).

    pod = await client.get(core.Pod, "web-0", "default")
    await client.patch(core.Pod, "web-0", "default", {"metadata": {"labels": {"a": "b"}}})
"""

from __future__ import annotations

import builtins
import importlib.util
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from trireme.client import codec
from trireme.client.requests import JSON, Call, Requester
from trireme.client.resource_interface import ListResult, ResourceInterface, WatchEvent, Where
from trireme.client.transport import Response, Stream, Transport
from trireme.kit import catalog
from trireme.kit.clock import Clock, RealClock
from trireme.machinery import meta
from trireme.machinery.resource import Resource

T = TypeVar("T")
R = TypeVar("R")
Obj = TypeVar("Obj", bound=meta.HasMetadata)


class Client:
    """Verbs on types. ``namespace`` None or "" means cluster-scoped, or all namespaces.

    Does not own ``transport``: whoever made that closes it. ``clock`` times the retries that a busy
    server asks for.
    """

    def __init__(
        self,
        transport: Transport,
        user_agent: str = "trireme",
        clock: Clock | None = None,
    ) -> None:
        self._requester = Requester(transport, user_agent, clock or RealClock())
        self._handles: dict[type, ResourceInterface[Any]] = {}

    def of(self, kind: type[T] | ResourceInterface[T]) -> ResourceInterface[T]:
        """All verbs on one type. A ResourceInterface is returned as it is."""
        if isinstance(kind, ResourceInterface):
            return kind
        handle = self._handles.get(kind)
        if handle is None:
            where = _where(resource_of(kind))
            handle = ResourceInterface(self._requester, where, codec.decoder(kind), metadata=False)
            self._handles[kind] = handle
        return handle

    def dynamic(
        self, group: str, version: str, plural: str, namespaced: bool = True
    ) -> ResourceInterface[dict[str, Any]]:
        """Any served resource, as plain dicts."""
        where = Where(group=group, version=version, plural=plural, namespaced=namespaced)
        return ResourceInterface(self._requester, where, codec.decoder(dict), metadata=False)

    def metadata(
        self, group: str, version: str, plural: str, namespaced: bool = True
    ) -> ResourceInterface[meta.Object]:
        """Any served resource, only the metadata of its objects. Their kind reads
        PartialObjectMetadata. Updates and creations through it make no sense."""
        where = Where(group=group, version=version, plural=plural, namespaced=namespaced)
        return ResourceInterface(self._requester, where, codec.decoder(meta.Object), metadata=True)

    async def get(
        self, kind: type[T], name: str, namespace: str | None = None, resource_version: str = ""
    ) -> T:
        """GET one object."""
        return await self.of(kind).get(name, namespace or "", resource_version)

    async def list(
        self, kind: type[T], namespace: str | None = None, **options: Any
    ) -> ListResult[T]:
        """GET a list; options as in ``ResourceInterface.list``: label_selector, field_selector,
        limit, continue_token, resource_version."""
        return await self.of(kind).list(namespace or "", **options)

    def watch(
        self,
        kind: type[T],
        namespace: str | None = None,
        resource_version: str = "",
        **options: Any,
    ) -> AsyncGenerator[WatchEvent[T], None]:
        """Events; options as in ``ResourceInterface.watch``: label_selector, field_selector,
        bookmarks, initial_events, timeout. Components use an ``Informer`` instead."""
        return self.of(kind).watch(namespace or "", resource_version, **options)

    async def create(self, obj: Obj, *, dry_run: bool = False) -> Obj:
        """POST the object to the namespace in its metadata; answers with what was stored."""
        return await self.of(type(obj)).create(obj, obj.metadata.namespace, dry_run=dry_run)

    async def update(self, obj: Obj, *, subresource: str = "", dry_run: bool = False) -> Obj:
        """PUT the object. 409 Conflict when somebody else wrote in between."""
        place = obj.metadata
        return await self.of(type(obj)).update(
            obj, place.name, place.namespace, subresource=subresource, dry_run=dry_run
        )

    async def update_status(self, obj: Obj) -> Obj:
        """PUT the object's status."""
        return await self.update(obj, subresource="status")

    async def patch(
        self,
        type_: type[T],
        name: str,
        namespace: str | None,
        patch: dict[str, Any] | builtins.list[Any],
        kind: str = "merge",
        subresource: str | None = "",
        *,
        dry_run: bool = False,
    ) -> T:
        """PATCH; ``kind`` is merge, strategic (dicts) or json (a list of operations)."""
        return await self.of(type_).patch(
            name,
            namespace or "",
            patch,
            kind=kind,
            subresource=subresource or "",
            dry_run=dry_run,
        )

    async def delete(
        self,
        kind: type,
        name: str,
        namespace: str | None = None,
        options: meta.DeleteOptions | None = None,
    ) -> None:
        """DELETE one object; returns when it is accepted."""
        await self.of(kind).delete(name, namespace or "", options)

    async def delete_collection(
        self, kind: type, namespace: str | None = None, **options: Any
    ) -> None:
        """DELETE all that match; options: label_selector, field_selector, options."""
        await self.of(kind).delete_collection(namespace or "", **options)

    async def create_subresource(
        self,
        kind: type,
        name: str,
        namespace: str | None,
        subresource: str,
        body: Any,
        answer: type[R],
    ) -> R:
        """POST to a subresource: token, binding (answers with a ``Status``), eviction."""
        return await self.of(kind).sub("POST", name, namespace or "", subresource, body, answer)

    async def raw(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        accept: str = JSON,
        content_type: str = JSON,
        resource: str = "",
        name: str = "",
    ) -> Response:
        """Any path. Raises ``ApiError`` from 400 on, which names ``resource`` and ``name``."""
        return await self._requester.send(
            Call(
                method=method,
                path=path,
                parameters=parameters or {},
                body=body,
                accept=accept,
                content_type=content_type,
                resource=resource,
                name=name,
            )
        )

    def stream(
        self, path: str, parameters: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[Stream]:
        """GET any path, chunk by chunk: logs."""
        return self._requester.open(
            Call(method="GET", path=path, parameters=parameters or {}, accept="*/*")
        )


def resource_of(kind: type) -> Resource:
    """The ``Resource`` of a type: in the type's own file, in ``<kind>.py`` for a type of
    ``<kind>_types.py``, or beside it for a kind that is a folder.

    Not from a catalog of all kinds: a kubelet need not load what it never reads. Raises
    LookupError.
    """
    name = kind.__module__
    modules = [sys.modules[name]]
    if name.endswith("_types") and importlib.util.find_spec(name.removesuffix("_types")):
        modules.append(importlib.import_module(name.removesuffix("_types")))
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, Resource) and value.type is kind:
                return value
    package = sys.modules[name.rpartition(".")[0]]
    for value in catalog.instances(package, Resource):
        if value.type is kind:
            return value
    raise LookupError(f"{name}.{kind.__name__} is not the type of a resource")


def _where(resource: Resource) -> Where:
    return Where(
        group=resource.group,
        version=resource.version,
        plural=resource.plural,
        namespaced=resource.namespaced,
    )
