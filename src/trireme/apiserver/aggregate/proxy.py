"""A request passed on to the aggregated API server that serves its version, and the answer.

In: a request that may be answered, and the APIService that it is for. Out: the server's answer as
it comes. The server learns who asks from the front proxy's headers; nothing that the client said
of itself is passed on, and no redirect comes back. Called by ``dispatch``. Upstream:
kube-aggregator ``handler_proxy.go``, apimachinery ``util/proxy``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web
from aiohttp.web_request import BaseRequest
from multidict import CIMultiDict

from trireme.api.apiregistration.v1 import apiservice
from trireme.api.apiregistration.v1.apiservice import APIService
from trireme.apiserver import outgoing
from trireme.apiserver.context import ServerContext
from trireme.apiserver.nodes import headers, joining
from trireme.apiserver.nodes.https import Stream
from trireme.apiserver.remote.servers import Address, Unreachable, Upgraded, identity
from trireme.apiserver.reply.reply import TEXT, AnyReply, Reply, StreamReply, UpgradeReply
from trireme.apiserver.request import ANONYMOUS, Request
from trireme.kit import hijack

# Seconds for an answer that says what a version has.
DISCOVERY_TIMEOUT = 5.0
# Of a refusal to leave HTTP, so many bytes are passed on, and for so many seconds waited for.
_REFUSAL, _REFUSAL_TIMEOUT = 64 * 1024, 10.0
_REDIRECTED = "the backend attempted to redirect this request, which is not permitted"


async def answer(context: ServerContext, request: Request, obj: APIService) -> AnyReply:
    """The answer of the server that an APIService names."""
    reference = obj.spec.service
    assert reference is not None
    if not apiservice.is_available(obj):
        return _plain(503, "service unavailable")
    try:
        address = context.servers.resolve(reference)
    except Unreachable as problem:
        context.env.log.warning("apiservice %s: %s", obj.metadata.name, problem)
        return _plain(503, "service unavailable")
    target = request.path + (f"?{request.raw_query}" if request.raw_query else "")
    context.authenticator.clear_identity(request)
    passed = headers.of_request(request.headers, request.remote, request.path)
    try:
        uids = context.gates.on("RemoteRequestHeaderUID")
        passed.extend(identity(request.user or ANONYMOUS, uids=uids))
        if _is_upgrade(request):
            return _upgraded(context, request, obj, address, target, passed)
        async with asyncio.timeout(None if request.info.is_resource else DISCOVERY_TIMEOUT):
            response = await context.servers.request(
                obj, address, request.method, target, passed, request.body
            )
    except TimeoutError:
        return _plain(503, "context deadline exceeded")
    except Unreachable as problem:
        return _plain(503, str(problem))
    if context.config.aggregator.reject_redirects and _redirects(response.status, response.headers):
        response.close()
        return Reply(502, _REDIRECTED.encode(), TEXT)
    returned = headers.of_answer(response.headers)
    content_type = returned.pop("Content-Type", "")
    return StreamReply(outgoing.chunks(response), response.status, content_type, returned)


def _plain(status: int, text: str) -> Reply:
    """As Go's http.Error."""
    return Reply(status, f"{text}\n".encode(), TEXT, {"X-Content-Type-Options": "nosniff"})


def _redirects(status: int, found: Mapping[str, str]) -> bool:
    return 300 <= status < 400 and "Location" in found


def _is_upgrade(request: Request) -> bool:
    asks = "upgrade" in request.headers.get("connection", "").lower()
    return asks and bool(request.headers.get("upgrade")) and request.upgrade is not None


def _upgraded(
    context: ServerContext,
    request: Request,
    obj: APIService,
    address: Address,
    target: str,
    passed: CIMultiDict[str],
) -> AnyReply:
    """Leave HTTP on both sides, and join the two connections byte for byte."""
    passed["Connection"] = "Upgrade"
    passed["Upgrade"] = request.headers["upgrade"]
    passed["Content-Length"] = str(len(request.body))

    async def run(incoming: BaseRequest) -> web.StreamResponse:
        try:
            made = await context.servers.upgrade(
                obj, address, request.method, target, passed, request.body
            )
        except Unreachable as problem:
            return web.Response(status=503, text=f"{problem}\n")
        stream = Stream(made.reader, made.writer)
        try:
            if made.status != HTTPStatus.SWITCHING_PROTOCOLS:
                return await _refused(made)
            head = ["HTTP/1.1 101 Switching Protocols", *(f"{n}: {v}" for n, v in made.head)]
            client = hijack.take(incoming, ("\r\n".join([*head, "", ""])).encode("latin-1"))
            await joining.join(client, stream)
        finally:
            stream.close()
        return hijack.Hijacked()

    return UpgradeReply(run)


async def _refused(made: Upgraded) -> web.StreamResponse:
    """The server's answer where it stays with HTTP."""
    returned = CIMultiDict(made.head)
    if _redirects(made.status, returned):
        return web.Response(status=502, text=_REDIRECTED)
    length = returned.get("Content-Length", "")
    limit = min(int(length), _REFUSAL) if length.isdecimal() else _REFUSAL
    body = b""
    try:
        async with asyncio.timeout(_REFUSAL_TIMEOUT):
            body = await outgoing.first(made.reader, limit)
    except (OSError, TimeoutError):
        pass
    response = web.Response(status=made.status, body=body)
    if "Content-Type" in returned:
        response.headers["Content-Type"] = returned["Content-Type"]
    return response
