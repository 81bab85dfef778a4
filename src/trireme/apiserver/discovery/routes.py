"""/api, /apis and what is below them, down to the resources. Aggregated documents carry an ETag.

Documents are made at the first question after a kind has come or gone. Upstream: apiserver
``endpoints/discovery``; KEP-3352.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from trireme.apiserver.context import ServerContext
from trireme.apiserver.discovery import documents
from trireme.apiserver.handlers import Route
from trireme.apiserver.reply import media, negotiate, reply
from trireme.apiserver.reply.reply import AnyReply, Reply
from trireme.apiserver.request import Request
from trireme.apiserver.served import ServedKinds
from trireme.machinery import errors
from trireme.machinery.resource import Resource

_GROUP, _VERSION, _KIND = "apidiscovery.k8s.io", "v2", "APIGroupDiscoveryList"


@dataclass
class Discovery:
    """The kinds that are served, and the documents made of them so far."""

    groups: dict[str, dict[str, list[Resource]]]
    # With those of aggregated API servers.
    merged: documents.Groups
    bodies: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def body(self, name: str, make: Callable[[], Any]) -> bytes:
        known = self.bodies.get(name)
        if known is None:
            known = self.bodies[name] = msgspec.json.encode(make())
        return known

    def tag(self, name: str) -> str:
        known = self.tags.get(name)
        if known is None:
            digest = hashlib.sha512(self.bodies[name]).hexdigest().upper()
            known = self.tags[name] = f'"{digest}"'
        return known


async def core(context: ServerContext, request: Request) -> AnyReply:
    """/api and /api/v1."""
    path = request.path.rstrip("/")
    discovery = _current(context)
    if path == "/api":
        aggregated = _aggregated(request, discovery, core=True)
        if aggregated is not None:
            return aggregated
        host = request.headers.get("host", "")
        return _plain(msgspec.json.encode(documents.api_versions(host)))
    versions = discovery.groups.get("", {})
    parts = path.split("/")[2:]
    if len(parts) != 1:
        return reply.no_page()
    if parts[0] not in versions:
        raise errors.no_such_resource()
    return _plain(
        discovery.body(path, lambda: documents.api_resource_list(parts[0], versions[parts[0]]))
    )


async def named(context: ServerContext, request: Request) -> AnyReply:
    """/apis, /apis/<group> and /apis/<group>/<version>."""
    discovery = _current(context)
    parts = request.path.strip("/").split("/")[1:]
    path = "/".join(parts)
    if not parts:
        aggregated = _aggregated(request, discovery, core=False)
        if aggregated is not None:
            return aggregated
        return _plain(discovery.body("/apis", lambda: documents.api_group_list(discovery.merged)))
    versions = discovery.groups.get(parts[0]) if parts[0] else None
    if len(parts) == 1 and parts[0] and parts[0] in discovery.merged:
        listed = discovery.merged[parts[0]]
        return _plain(discovery.body(path, lambda: documents.api_group(path, listed)))
    if versions is None or len(parts) != 2:
        return reply.no_page()
    if parts[1] not in versions:
        if parts[0] not in context.served.groups:
            return reply.no_page()
        raise errors.no_such_resource()
    return _plain(
        discovery.body(path, lambda: documents.api_resource_list(path, versions[parts[1]]))
    )


def _current(context: ServerContext) -> Discovery:
    return context.served.derived(_discovery)


def _discovery(served: ServedKinds) -> Discovery:
    groups = documents.groups(each.resource for each in served.versions())
    return Discovery(groups, documents.merged(groups, served.remote))


def _aggregated(request: Request, discovery: Discovery, *, core: bool) -> Reply | None:
    """The aggregated form; None where the client prefers another."""
    form = _preferred(request)
    if form is None:
        return None
    name = f"aggregated {'api' if core else 'apis'}"
    body = discovery.body(name, lambda: documents.aggregated(discovery.merged, core=core))
    content_type = f"{form};g={_GROUP};v={_VERSION};as={_KIND}"
    headers = {"ETag": discovery.tag(name), "Vary": "Accept"}
    if request.headers.get("if-none-match", "") == headers["ETag"]:
        return Reply(304, b"", content_type, headers)
    return Reply(200, media.from_json(body, form), content_type, headers)


def _preferred(request: Request) -> str | None:
    """The media type of the aggregated form, if that is what is accepted first."""
    for clause in negotiate.clauses(request.headers.get("accept", "")):
        parameters = clause.parameters
        for form in request.media:
            if form == negotiate.CBOR or not clause.covers(form):
                continue
            if parameters.keys().isdisjoint(("as", "g", "v")):
                return None
            if tuple(map(parameters.get, ("g", "v", "as"))) == (_GROUP, _VERSION, _KIND):
                return form
    return None


def _plain(body: bytes) -> Reply:
    answer = Reply(200, body)
    answer.negotiable = True
    return answer


CORE = Route("/api", core, prefix=True)
NAMED = Route("/apis", named, prefix=True)
