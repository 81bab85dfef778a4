"""HTTPS in front of the API server: aiohttp's low-level server, one handler, our own dispatch.

In: connections. Out: ``Request`` values for ``chain.handle`` and its answers on the wire. The body
is read (``bodies``) once the chain knows who asks and that it may be; a reader that goes away
cancels its handler, and so ends its watch.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import HttpVersion11, web
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest
from multidict import CIMultiDict

from trireme.apiserver import bodies, chain, whole
from trireme.apiserver.authn.authorities import Authorities
from trireme.apiserver.bodies import Budget
from trireme.apiserver.connections import Front, Limits
from trireme.apiserver.reply import reply
from trireme.apiserver.reply.reply import (
    Aborted,
    AnyReply,
    Chunks,
    Reply,
    StreamReply,
    UpgradeReply,
)
from trireme.apiserver.request import Request
from trireme.apiserver.server import ApiServer
from trireme.kit import tls
from trireme.kit.connections import OtherHTTP, refusal
from trireme.kit.hijack import Hijacked
from trireme.kit.pki import Pair
from trireme.kit.turns import Turns
from trireme.machinery import errors

# OpenSSL: X509_FILETYPE_ASN1.
_DER = 2
# Upstream compresses answers beyond this size, for clients that accept it.
GZIP_OVER = 128 * 1024
# Chunks below this size are written without a look at how long that takes.
SHORT = 32 * 1024
# A body is written, and compressed, in pieces of this size: the loop serves others in between.
PIECE = 64 * 1024


@asynccontextmanager
async def listening(
    server: ApiServer, limits: Limits | None = None, budget: Budget | None = None
) -> AsyncIterator[list[tuple[str, int]]]:
    """Serve on the configured addresses; yields those that are bound (port 0 resolved)."""
    config = server.context.config
    if config.serving is None:
        raise ValueError("listening needs a serving certificate")
    context = _Tls(config.serving, server.context.authenticator.authorities).context
    limits = limits or Limits()
    budget = budget or Budget(limits.held)
    front = Front(_Handler(server, limits, budget), limits, budget, server.context.env.log)
    loop = asyncio.get_running_loop()
    sockets: list[asyncio.Server] = []
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
        await front.shutdown(limits.farewell)


class _Handler:
    """What aiohttp calls for each request."""

    def __init__(self, server: ApiServer, limits: Limits, budget: Budget) -> None:
        self._server = server
        self._limits = limits
        self._writing = _Writing(limits, server.context.turns)
        self._budget = budget
        self._uid = server.context.env.uid
        self._two_authorities = bool(server.context.authenticator.authorities.proxy)
        self._compresses = server.context.gates.on("APIResponseCompression")

    async def __call__(self, incoming: BaseRequest) -> web.StreamResponse:
        if type(incoming) is OtherHTTP:
            return refusal()
        if bodies.has_unknown_expectation(incoming):
            return _closing(web.Response(status=417))
        url = incoming.rel_url
        request = Request(
            incoming.method,
            url.raw_path,
            url.raw_query_string,
            incoming.headers,
            peer_certificate=_peer(incoming),
            peer_chain=functools.partial(_chain, incoming) if self._two_authorities else None,
            remote=incoming.remote or "",
            upgrade=incoming,
        )
        if incoming.body_exists:
            timeout = self._limits.body
            request.receive = functools.partial(bodies.read, incoming, self._budget, timeout)
        try:
            answer = await chain.handle(self._server, request)
            given = incoming.headers.get("Audit-ID")
            own = self._uid() if request.audit is None else request.audit.audit_id
            flow = request.flow
            if isinstance(answer, Reply) and answer.length <= GZIP_OVER:
                unread = bodies.is_unread(incoming)
                if not given and not unread and whole.fits(incoming, answer):
                    head = "" if flow is None else flow.head
                    return await whole.write(incoming, answer, own, head)
                if flow is not None:
                    answer.headers.update(flow.headers)
                answer.headers["Audit-Id"] = given or own
                response = _response(answer)
                return _closing(response) if unread else response
            if not isinstance(answer, UpgradeReply):
                answer.headers["Audit-Id"] = given or own
                if flow is not None:
                    answer.headers.update(flow.headers)
            return await self._write(incoming, answer)
        finally:
            request.close()

    async def _write(self, incoming: BaseRequest, answer: AnyReply) -> web.StreamResponse:
        """What is not written in one piece."""
        if isinstance(answer, Reply):
            compressed = self._compresses and _accepts_gzip(incoming)
            return await _large(answer, incoming, self._writing, compressed)
        if isinstance(answer, StreamReply):
            return await _stream(answer, incoming, self._writing)
        return await _upgrade(answer, incoming)


class _Tls:
    """The context of the listeners, whose authorities may change: new connections get others."""

    def __init__(self, serving: Pair, authorities: Authorities) -> None:
        self._serving = serving
        self._authorities = authorities
        self._current = self.context = self._made()
        # OpenSSL asks this in every handshake, with or without a name.
        self.context.sni_callback = self._choose
        authorities.changed.append(self._renew)

    def _made(self) -> ssl.SSLContext:
        return tls.server_context(self._serving, self._authorities.bundle)

    def _renew(self) -> None:
        self._current = self._made()

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _base: ssl.SSLContext) -> None:
        if self._current is not self.context:
            connection.context = self._current


def _chain(incoming: BaseRequest) -> list[bytes]:
    """What TLS checked the client's certificate by, and the certificate, in DER."""
    transport = incoming.transport
    connection = None if transport is None else transport.get_extra_info("ssl_object")
    if connection is None:
        return []
    if hasattr(connection, "get_verified_chain"):
        return list(connection.get_verified_chain())
    # Python before 3.13 has the same without a name of its own.
    found = connection._sslobj.get_verified_chain() or ()

    return [item.public_bytes(_DER) for item in found]


def _peer(incoming: BaseRequest) -> bytes | None:
    """The client's certificate (DER), if it showed one."""
    transport = incoming.transport
    connection = None if transport is None else transport.get_extra_info("ssl_object")
    if connection is None:
        return None
    certificate: bytes | None = connection.getpeercert(binary_form=True)
    return certificate


def _response(answer: Reply) -> web.StreamResponse:
    return web.Response(status=answer.status, body=answer.body, headers=_head(answer))


def _closing(response: web.StreamResponse) -> web.StreamResponse:
    """An answer to a body that was not read: what may follow it is no other request."""
    response.force_close()
    return response


def _head(answer: Reply | StreamReply) -> CIMultiDict[str]:
    headers: CIMultiDict[str] = CIMultiDict(answer.headers)
    headers["Content-Type"] = answer.content_type
    headers.setdefault("Cache-Control", "no-cache, private")
    for warning in answer.warnings:
        headers.add("Warning", warning)
    return headers


def _accepts_gzip(incoming: BaseRequest) -> bool:
    """Whether gzip stands in the header, alone: upstream knows no qualities here."""
    tokens = incoming.headers.get("Accept-Encoding", "").split(",")
    return any(token.strip() == "gzip" for token in tokens)


@dataclass(frozen=True)
class _Writing:
    """How answers are written."""

    limits: Limits
    turns: Turns


async def _large(
    answer: Reply, incoming: BaseRequest, writing: _Writing, compressed: bool
) -> web.StreamResponse:
    """A large body, piece by piece, compressed for clients that accept it."""
    headers = _head(answer)
    response = web.StreamResponse(status=answer.status, headers=headers)
    if compressed:
        response.headers["Content-Encoding"] = "gzip"
        response.headers.add("Vary", "Accept-Encoding")
        response.enable_chunked_encoding()
    else:
        response.content_length = answer.length
    pieces = answer.pieces(PIECE)
    chunks = _compressed(pieces) if compressed else _each(pieces)
    if incoming.method == "HEAD":
        await response.prepare(incoming)
        return response
    return await _send(response, incoming, chunks, writing, writing.limits.answer)


async def _each(
    pieces: Iterable[bytes | memoryview],
) -> AsyncGenerator[bytes | memoryview]:
    for piece in pieces:
        yield piece


async def _compressed(pieces: Iterable[bytes | memoryview]) -> AsyncGenerator[bytes]:
    compressor = zlib.compressobj(1, zlib.DEFLATED, 31)
    for piece in pieces:
        # zlib lets go of the interpreter: the loop goes on meanwhile.
        yield await asyncio.to_thread(compressor.compress, piece)
    yield compressor.flush()


async def _stream(
    answer: StreamReply, incoming: BaseRequest, writing: _Writing
) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=_head(answer))
    if "Content-Length" not in response.headers:
        response.enable_chunked_encoding()
        if answer.direct is not None and incoming.version >= HttpVersion11:
            # Nothing waits, and so nothing comes to write, before the head has been written.
            answer.direct(functools.partial(_write_chunk, incoming.protocol))
    return await _send(response, incoming, answer.chunks, writing)


def _write_chunk(connection: RequestHandler, chunk: bytes) -> bool:
    """Write a chunk, framed as HTTP/1.1 has it, if nothing holds up what is written."""
    transport = connection.transport
    if connection.writing_paused or transport is None or transport.is_closing():
        return False
    transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
    return True


async def _send(
    response: web.StreamResponse,
    incoming: BaseRequest,
    chunks: Chunks[bytes | memoryview],
    writing: _Writing,
    total: float | None = None,
) -> web.StreamResponse:
    """Write the chunks; a client that takes nothing for too long is cut off, or one that has not
    taken everything after ``total`` seconds."""
    timeout = _WriteTimeout(incoming, writing.limits.stalled, total)
    turn = writing.turns.begin()
    try:
        await response.prepare(incoming)
        async for chunk in chunks:
            if chunk:
                timeout.begin()
                await response.write(chunk)
                timeout.end()
                if len(chunk) >= SHORT:
                    await turn.pause()
        timeout.begin()
        await response.write_eof()
    except ConnectionError:
        # The client has gone, or was cut off; there is nobody to tell.
        if timeout.lost:
            return Hijacked()
    except Aborted:
        if incoming.transport is not None:
            incoming.transport.abort()
        return Hijacked()
    finally:
        timeout.close()
        await chunks.aclose()
    return response


class _WriteTimeout:
    """How long one chunk may take to be written. One timer for many chunks: with one for each, the
    timers would cost a sixth of what it takes to tell a thousand watchers."""

    __slots__ = ("_began", "_end", "_incoming", "_limit", "_loop", "_timer", "lost")

    def __init__(self, incoming: BaseRequest, limit: float, total: float | None) -> None:
        self._incoming = incoming
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._end = None if total is None else self._loop.call_later(total, self._abort)
        self.lost = False

    def begin(self) -> None:
        self._began = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._limit, self._check)

    def end(self) -> None:
        self._began = 0.0

    def close(self) -> None:
        for timer in (self._timer, self._end):
            if timer is not None:
                timer.cancel()

    def _check(self) -> None:
        self._timer = None
        if not self._began:
            return
        left = self._began + self._limit - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._check)
            return
        self._abort()

    def _abort(self) -> None:
        self.lost = True
        if self._incoming.transport is not None:
            # Whoever waits for the client is woken, or cancelled, by the loss of its connection.
            self._incoming.transport.abort()


async def _upgrade(answer: UpgradeReply, incoming: BaseRequest) -> web.StreamResponse:
    try:
        return await answer.run(incoming)
    except errors.ApiError as error:
        # Nothing has been upgraded yet: what fails later ends the connection instead.
        return _response(reply.error(error))
    except ConnectionError:
        return Hijacked()
