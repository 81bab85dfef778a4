"""/api, /apis and what is below them, down to the resources. Documents are made once, with ETag."""

from __future__ import annotations

import hashlib

import msgspec

from trireme.apiserver.discovery import documents
from trireme.apiserver.handlers import Route
from trireme.apiserver.reply.reply import AnyReply, Reply
from trireme.apiserver.request import Request
from trireme.apiserver.server import ApiServer

_AGGREGATED = "g=apidiscovery.k8s.io"


async def core(server: ApiServer, request: Request) -> AnyReply:
    """/api and /api/v1."""
    path = request.path.rstrip("/")
    found = documents.groups(server.catalog.resources)
    if path == "/api":
        version = _wants_aggregated(request)
        if version:
            return _answer(
                request, documents.aggregated(found, core=True, version=version), version
            )
        host = request.headers.get("host", "")
        return _answer(request, documents.api_versions(host))
    if path == "/api/v1":
        return _answer(request, documents.api_resource_list("v1", found[""]["v1"]))
    return _missing()


async def named(server: ApiServer, request: Request) -> AnyReply:
    """/apis, /apis/<group> and /apis/<group>/<version>."""
    found = documents.groups(server.catalog.resources)
    parts = request.path.strip("/").split("/")[1:]
    if not parts:
        version = _wants_aggregated(request)
        if version:
            document = documents.aggregated(found, core=False, version=version)
            return _answer(request, document, version)
        return _answer(request, documents.api_group_list(found))
    versions = found.get(parts[0]) if parts[0] else None
    if versions is None or len(parts) > 2:
        return _missing()
    if len(parts) == 1:
        return _answer(request, documents.api_group(parts[0], versions))
    if parts[1] not in versions:
        return _missing()
    group_version = "/".join(parts)
    return _answer(request, documents.api_resource_list(group_version, versions[parts[1]]))


def _wants_aggregated(request: Request) -> str:
    """The version of the aggregated form that is asked for, "" for the plain one."""
    for clause in request.headers.get("accept", "").split(","):
        if _AGGREGATED in clause and "as=APIGroupDiscoveryList" in clause:
            if "v=v2beta1" in clause:
                return "v2beta1"
            if "v=v2" in clause:
                return "v2"
    return ""


def _answer(request: Request, document: object, aggregated: str = "") -> Reply:
    body = msgspec.json.encode(document)
    answer = Reply(200, body)
    if aggregated:
        answer.content_type = (
            f"application/json;g=apidiscovery.k8s.io;v={aggregated};as=APIGroupDiscoveryList"
        )
        tag = '"' + hashlib.sha512(body).hexdigest().upper() + '"'
        answer.headers = {"ETag": tag, "Vary": "Accept"}
        if request.headers.get("if-none-match", "") == tag:
            return Reply(304, b"", answer.content_type, answer.headers)
    return answer


def _missing() -> Reply:
    return Reply(404, b"404 page not found\n", "text/plain; charset=utf-8")


CORE = Route("/api", core, prefix=True)
NAMED = Route("/apis", named, prefix=True)
