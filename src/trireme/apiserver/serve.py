"""HTTPS in front of the API server: aiohttp's low-level server, one handler, our own dispatch.

In: connections. Out: ``Request`` values for ``chain.handle`` and its answers on the wire. The body
is read whole (3 MiB at most) before anything else happens; a reader that goes away cancels its
handler, and so ends its watch.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.web_request import BaseRequest
from multidict import CIMultiDict

from trireme.apiserver import chain
from trireme.apiserver.nodes.hijack import Hijacked
from trireme.apiserver.reply import reply
from trireme.apiserver.reply.reply import Reply, StreamReply, UpgradeReply
from trireme.apiserver.request import Request
from trireme.apiserver.server import ApiServer
from trireme.kit.pki import Pair
from trireme.machinery import errors

BODY_LIMIT = 3 * 1024 * 1024
# Upstream compresses answers from this size on, for clients that accept it.
GZIP_FROM = 128 * 1024
# A request whose head or body stops arriving is given up after this long.
READ_TIMEOUT = 60.0


@asynccontextmanager
async def listening(server: ApiServer) -> AsyncIterator[list[tuple[str, int]]]:
    """Serve on the configured addresses; yields those that are bound (port 0 resolved)."""
    config = server.config
    if config.serving is None:
        raise ValueError("listening needs a serving certificate")
    context = server_context(config.serving, config.client_authority)
    front = web.Server(
        _Handler(server), request_factory=_bounded, access_log=None, keepalive_timeout=75.0
    )
    loop = asyncio.get_running_loop()
    sockets: list[asyncio.AbstractServer] = []
    bound: list[tuple[str, int]] = []
    try:
        for host, port in config.listen:
            listener = await loop.create_server(
                front, host, port, ssl=context, backlog=1024, reuse_address=True
            )
            sockets.append(listener)
            bound.append(listener.sockets[0].getsockname()[:2])
        yield bound
    finally:
        for listener in sockets:
            listener.close()
        await front.shutdown(1.0)


def server_context(serving: Pair, client_authority: bytes) -> ssl.SSLContext:
    """TLS for a server that asks for client certificates without insisting on one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.TemporaryDirectory() as folder:
        # ssl reads a certificate and its key from files only.
        path = Path(folder) / "pair.pem"
        path.touch(0o600)
        path.write_bytes(serving.key + serving.certificate)
        context.load_cert_chain(path)
    if client_authority:
        context.load_verify_locations(cadata=client_authority.decode())
        context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


class _Handler:
    """What aiohttp calls for each request."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server

    async def __call__(self, incoming: BaseRequest) -> web.StreamResponse:
        try:
            body = b""
            if incoming.body_exists:
                async with asyncio.timeout(READ_TIMEOUT):
                    body = await incoming.read()
            if len(body) > BODY_LIMIT:
                raise web.HTTPRequestEntityTooLarge(BODY_LIMIT, len(body))
            if incoming.headers.get("Content-Encoding", "") == "gzip":
                body = _inflate(body)
        except web.HTTPRequestEntityTooLarge:
            fault = errors.request_entity_too_large(f"limit is {BODY_LIMIT}")
            return _response(reply.error(fault))
        except TimeoutError:
            return _response(reply.error(errors.timeout("the request's body did not arrive")))
        except zlib.error as problem:
            return _response(reply.error(errors.bad_request(f"gzip: {problem}")))
        request = Request(
            incoming.method,
            incoming.rel_url.raw_path,
            incoming.rel_url.raw_query_string,
            _Headers(incoming.headers),
            body,
            peer_certificate=_peer(incoming),
            remote=incoming.remote or "",
            upgrade=incoming,
        )
        answer = await chain.handle(self._server, request)
        if isinstance(answer, Reply):
            return _response(answer, incoming)
        if isinstance(answer, StreamReply):
            return await _stream(answer, incoming)
        return await _upgrade(answer, incoming)


def _bounded(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> BaseRequest:
    """A request whose body may be as large as upstream allows."""
    loop = asyncio.get_running_loop()
    return BaseRequest(
        message, payload, protocol, writer, task, loop, client_max_size=BODY_LIMIT + 1
    )


class _Headers:
    """Headers by lower-case name; aiohttp's mapping folds case itself."""

    __slots__ = ("_inner",)

    def __init__(self, inner: object) -> None:
        self._inner = inner

    def get(self, name: str, default: str = "") -> str:
        return self._inner.get(name, default)  # type: ignore[attr-defined, no-any-return]

    def getall(self, name: str) -> list[str]:
        return self._inner.getall(name, [])  # type: ignore[attr-defined, no-any-return]

    def items(self) -> object:
        return self._inner.items()  # type: ignore[attr-defined]

    def __contains__(self, name: str) -> bool:
        return name in self._inner  # type: ignore[operator]

    def __getitem__(self, name: str) -> str:
        return self._inner[name]  # type: ignore[index, no-any-return]


def _peer(incoming: BaseRequest) -> bytes | None:
    """The client's certificate (DER), if it showed one."""
    transport = incoming.transport
    connection = None if transport is None else transport.get_extra_info("ssl_object")
    if connection is None:
        return None
    certificate: bytes | None = connection.getpeercert(binary_form=True)
    return certificate


def _response(answer: Reply, incoming: BaseRequest | None = None) -> web.StreamResponse:
    headers: CIMultiDict[str] = CIMultiDict(answer.headers)
    headers["Content-Type"] = answer.content_type
    headers.setdefault("Cache-Control", "no-cache, private")
    body = answer.body
    if (
        len(body) >= GZIP_FROM
        and incoming is not None
        and "gzip" in incoming.headers.get("Accept-Encoding", "")
    ):
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        body = packer.compress(body) + packer.flush()
        headers["Content-Encoding"] = "gzip"
        headers["Vary"] = "Accept-Encoding"
    return web.Response(status=answer.status, body=body, headers=headers)


async def _stream(answer: StreamReply, incoming: BaseRequest) -> web.StreamResponse:
    headers: CIMultiDict[str] = CIMultiDict(answer.headers)
    headers["Content-Type"] = answer.content_type
    headers["Cache-Control"] = "no-cache, private"
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.enable_chunked_encoding()
    chunks = answer.chunks
    try:
        await response.prepare(incoming)
        async for chunk in chunks:
            await response.write(chunk)
        await response.write_eof()
    except ConnectionError:
        # The client has gone; there is nobody to tell.
        pass
    finally:
        await chunks.aclose()  # type: ignore[attr-defined]
    return response


async def _upgrade(answer: UpgradeReply, incoming: BaseRequest) -> web.StreamResponse:
    try:
        return await answer.run(incoming)  # type: ignore[return-value]
    except errors.ApiError as fault:
        # Nothing has been upgraded yet: what fails later ends the connection instead.
        return _response(reply.error(fault))
    except ConnectionError:
        return Hijacked()


def _inflate(body: bytes) -> bytes:
    unpacker = zlib.decompressobj(31)
    plain = unpacker.decompress(body, BODY_LIMIT + 1)
    if len(plain) > BODY_LIMIT:
        raise web.HTTPRequestEntityTooLarge(BODY_LIMIT, len(plain))
    return plain
