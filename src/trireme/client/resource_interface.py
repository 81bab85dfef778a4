"""All verbs on one resource: where it is served and how its objects are read.

In: names, objects, options. Out: objects, lists, watch events. ``client`` makes one for each type
that it meets, and hands out those for plain dicts (any served resource) and for metadata only
(PartialObjectMetadata). Errors: ``ApiError``, ``transport.Unreachable``, ``codec.Unreadable``.
Rules: https://kubernetes.io/docs/reference/using-api/api-concepts/.
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Generic, TypeVar

import msgspec

from trireme.client import codec, requests
from trireme.client.requests import JSON, Call, Requester
from trireme.machinery import errors, meta
from trireme.machinery.codec import json

T = TypeVar("T")
R = TypeVar("R")

ADDED, MODIFIED, DELETED, BOOKMARK = "ADDED", "MODIFIED", "DELETED", "BOOKMARK"
_APPLY = "application/apply-patch+yaml"
_PATCHES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


class ListResult(msgspec.Struct, Generic[T], frozen=True):
    """A list, or a page of one: then ``continue_token`` is set."""

    items: list[T]
    resource_version: str
    continue_token: str = ""


class WatchEvent(msgspec.Struct, Generic[T], frozen=True):
    """ADDED, MODIFIED, DELETED with the object, or BOOKMARK without (``object`` None).

    ``initial_end``: the bookmark that ends the initial events, where those were asked for.
    """

    type: str
    object: T
    resource_version: str
    initial_end: bool = False


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """The place of a resource in the API."""

    group: str
    version: str
    plural: str
    namespaced: bool

    @property
    def label(self) -> str:
        """``deployments.apps``: how errors name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str, *rest: str) -> str:
        root = ("apis", self.group) if self.group else ("api",)
        scope = ("namespaces", namespace) if self.namespaced and namespace else ()
        return requests.join(*root, self.version, *scope, self.plural, *rest)


class ResourceInterface(Generic[T]):
    """One resource of one server. ``namespace`` is "" for cluster-scoped kinds, and for all
    namespaces in list and watch."""

    def __init__(
        self, requester: Requester, where: Where, decoder: codec.Decoder[T], *, metadata: bool
    ) -> None:
        self.where = where
        self._requester = requester
        self._decoder = decoder
        self._accept = METADATA_ONLY if metadata else JSON
        self._accept_list = METADATA_LIST if metadata else JSON

    async def get(self, name: str, namespace: str = "", resource_version: str = "") -> T:
        """One object. ``resource_version`` "0" takes what a cache has."""
        call = self._call("GET", "get", namespace, name)
        return await self._one(call, {"resourceVersion": resource_version})

    async def list(
        self,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_token: str = "",
        resource_version: str = "",
    ) -> ListResult[T]:
        """Everything, or ``limit`` at a time. 410 (``errors.is_expired``): begin again."""
        parameters = {
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "limit": str(limit) if limit else "",
            "continue": continue_token,
            "resourceVersion": resource_version,
        }
        call = self._call("GET", "list", namespace)
        call = msgspec.structs.replace(call, parameters=_set(parameters), accept=self._accept_list)
        response = await self._requester.send(call)
        items, listed = self._decoder.many(response.body)
        return ListResult(items, listed.resourceVersion, listed.continue_)

    async def watch(
        self, namespace: str = "", resource_version: str = "", **options: Any
    ) -> AsyncGenerator[WatchEvent[T], None]:
        """As ``watch_together``, one event after the other."""
        together = self.watch_together(namespace, resource_version, **options)
        async with aclosing(together) as batches:
            async for batch in batches:
                for event in batch:
                    yield event

    async def watch_together(
        self,
        namespace: str = "",
        resource_version: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        bookmarks: bool = True,
        initial_events: bool = False,
        timeout: float = 0,
    ) -> AsyncGenerator[builtins.list[WatchEvent[T]], None]:
        """Events after ``resource_version`` until the server ends it (``timeout`` seconds), those
        that came together in one list.

        Close it (``contextlib.aclosing``) when leaving early. An ERROR event is raised as its
        ``ApiError``: 410 means that the revision is too old.
        """
        parameters = {
            "watch": "true",
            "resourceVersion": resource_version,
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "allowWatchBookmarks": "true" if bookmarks else "",
            "sendInitialEvents": "true" if initial_events else "",
            "resourceVersionMatch": "NotOlderThan" if initial_events else "",
            "timeoutSeconds": str(max(1, round(timeout))) if timeout else "",
        }
        call = self._call("GET", "watch", namespace)
        call = msgspec.structs.replace(call, parameters=_set(parameters))
        async with self._requester.open(call) as stream, aclosing(_lines(stream.chunks)) as lines:
            async for together in lines:
                batch: builtins.list[WatchEvent[T]] = []
                problem: Exception | None = None
                for line in together:
                    try:
                        batch.append(self._event(line))
                    except (codec.Unreadable, errors.ApiError) as error:
                        problem = error
                        break
                if batch:
                    yield batch
                if problem is not None:
                    raise problem

    async def create(self, obj: Any, namespace: str = "", *, dry_run: bool = False) -> T:
        """POST; answers with what was stored."""
        call = self._call("POST", "create", namespace)
        return await self._one(call, _dry(dry_run), json.encode(obj))

    async def update(
        self,
        obj: Any,
        name: str,
        namespace: str = "",
        *,
        subresource: str = "",
        dry_run: bool = False,
    ) -> T:
        """PUT; 409 Conflict when the object's resourceVersion is set and no longer the stored."""
        call = self._call("PUT", "update", namespace, name, subresource)
        return await self._one(call, _dry(dry_run), json.encode(obj))

    async def patch(
        self,
        name: str,
        namespace: str,
        patch: Any,
        *,
        kind: str = "merge",
        subresource: str = "",
        dry_run: bool = False,
    ) -> T:
        """``kind`` is merge, strategic (dicts) or json (a list of operations)."""
        media = _PATCHES.get(kind)
        if media is None:
            raise ValueError(f"patch kind {kind!r}: not one of {', '.join(sorted(_PATCHES))}")
        call = self._call("PATCH", "patch", namespace, name, subresource)
        call = msgspec.structs.replace(call, content_type=media)
        return await self._one(call, _dry(dry_run), json.encode(patch))

    async def apply(
        self, name: str, namespace: str, desired: Any, manager: str, *, subresource: str = ""
    ) -> T:
        """Server-side apply of the fields that ``manager`` wants, taken from others by force."""
        call = self._call("PATCH", "patch", namespace, name, subresource)
        call = msgspec.structs.replace(call, content_type=_APPLY)
        return await self._one(
            call, {"fieldManager": manager, "force": "true"}, json.encode(desired)
        )

    async def delete(
        self, name: str, namespace: str = "", options: meta.DeleteOptions | None = None
    ) -> None:
        """DELETE; returns when it is accepted: finalizers and grace may keep the object."""
        call = self._call("DELETE", "delete", namespace, name)
        # The answer is not read: what is stored costs the server nothing, metadata alone would.
        call = msgspec.structs.replace(call, accept=JSON, body=_delete_body(options))
        await self._requester.send(call)

    async def delete_collection(
        self,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        options: meta.DeleteOptions | None = None,
    ) -> None:
        """DELETE of all that the selectors match."""
        parameters = {"labelSelector": label_selector, "fieldSelector": field_selector}
        call = self._call("DELETE", "deletecollection", namespace)
        call = msgspec.structs.replace(call, parameters=_set(parameters), accept=self._accept_list)
        await self._requester.send(msgspec.structs.replace(call, body=_delete_body(options)))

    async def sub(
        self, method: str, name: str, namespace: str, subresource: str, body: Any, answer: type[R]
    ) -> R:
        """Any method on a subresource that has types of its own; ``body`` None sends none."""
        call = self._call(method, method.lower(), namespace, name, subresource)
        content = b"" if body is None else json.encode(body)
        response = await self._requester.send(msgspec.structs.replace(call, body=content))
        return codec.decoder(answer).one(response.body)

    def _call(
        self, method: str, verb: str, namespace: str, name: str = "", subresource: str = ""
    ) -> Call:
        named = verb not in ("list", "watch", "create", "deletecollection")
        if named and not name:
            raise ValueError(f"{verb} {self.where.label}: a name is needed")
        if self.where.namespaced and not namespace and (named or verb == "create"):
            raise ValueError(f"{verb} {self.where.label} {name}: a namespace is needed")
        path = self.where.path(namespace, name, subresource)
        return Call(
            method=method,
            path=path,
            accept=self._accept,
            resource=self.where.label,
            name=name,
        )

    async def _one(self, call: Call, parameters: dict[str, str], body: bytes = b"") -> T:
        call = msgspec.structs.replace(call, parameters=_set(parameters), body=body)
        response = await self._requester.send(call)
        return self._decoder.one(response.body)

    def _event(self, line: bytes) -> WatchEvent[T]:
        change = self._decoder.event(line)
        if change is not None:
            return WatchEvent(*change)
        try:
            frame = _frame(line)
            version = _revision(frame.object) if frame.type != "ERROR" else None
        except msgspec.DecodeError as problem:
            raise codec.Unreadable(f"watch of {self.where.label}: {problem}") from None
        if version is None:
            raise codec.reported(frame.object)
        if frame.type == BOOKMARK:
            end = version.annotations.get("k8s.io/initial-events-end") == "true"
            # Without an object: readers look at the type of an event first.
            return WatchEvent(BOOKMARK, None, version.resourceVersion, end)  # type: ignore[arg-type]
        if frame.type not in (ADDED, MODIFIED, DELETED):
            raise codec.Unreadable(f"watch of {self.where.label}: event type {frame.type!r}")
        return WatchEvent(frame.type, self._decoder.one(frame.object), version.resourceVersion)


class _Frame(msgspec.Struct, gc=False):
    type: str
    object: msgspec.Raw


class _Mark(msgspec.Struct, gc=False):
    resourceVersion: str = ""
    annotations: dict[str, str] = {}


class _Marked(msgspec.Struct, gc=False):
    metadata: _Mark


_frame = msgspec.json.Decoder(_Frame).decode
_marked = msgspec.json.Decoder(_Marked).decode


def _revision(raw: msgspec.Raw) -> _Mark:
    return _marked(raw).metadata


async def _lines(chunks: Any) -> AsyncGenerator[list[bytes], None]:
    """Whole lines, however the chunks are cut; those that came together in one list."""
    parts: list[bytes] = []
    async for chunk in chunks:
        head, newline, rest = chunk.partition(b"\n")
        parts.append(head)
        if not newline:
            continue
        first = b"".join(parts)
        *whole, last = rest.split(b"\n")
        yield [line for line in (first, *whole) if line]
        parts = [last] if last else []


def _set(parameters: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if value}


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}


def _delete_body(options: meta.DeleteOptions | None) -> bytes:
    if options is None:
        return b""
    named = msgspec.structs.replace(options, kind="DeleteOptions", apiVersion="v1")
    return json.encode(named)
