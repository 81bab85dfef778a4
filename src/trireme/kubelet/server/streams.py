"""exec, attach and port-forward: hand the caller's connection to the runtime's stream server.

In: a request that wants to leave HTTP, and the URL that CRI gave for it. Out: bytes, both ways,
untouched. Called by server/app. Rules: reference "Streaming": the runtime speaks SPDY; whoever
needs WebSocket translates before this point. The kubelet stays in between because only it knows
who may, and because the runtime listens on the node's loopback.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.web_request import BaseRequest

HEAD_LIMIT = 64 * 1024
CONNECT_SECONDS = 5.0
# What belongs to this hop, or is nobody else's business.
_DROPPED = {"host", "authorization", "x-forwarded-for", "content-length", "transfer-encoding"}


class StreamFailed(Exception):
    """The runtime's stream server did not answer."""


class _Hijacked(web.StreamResponse):
    """Tells aiohttp that everything has been written already."""

    def __init__(self) -> None:
        super().__init__()
        self.force_close()

    async def prepare(self, request: BaseRequest) -> None:  # type: ignore[override]
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


class _Caller:
    """The caller's end: aiohttp feeds us what arrives; we write to the transport."""

    def __init__(self, request: BaseRequest) -> None:
        if request.transport is None:
            raise ConnectionResetError("the caller has gone")
        self._transport = request.transport
        self._protocol = request.protocol
        self._incoming: asyncio.Queue[bytes] = asyncio.Queue()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._incoming.put_nowait(bytes(data))
        return False, b""

    def feed_eof(self) -> None:
        self._incoming.put_nowait(b"")

    def set_exception(self, *_: object) -> None:
        self._incoming.put_nowait(b"")

    async def read(self) -> bytes:
        return await self._incoming.get()

    async def write(self, data: bytes) -> None:
        if self._transport.is_closing():
            raise ConnectionResetError("the caller has gone")
        self._transport.write(data)  # type: ignore[attr-defined]
        # Waits while the caller is slower than the container.
        await self._protocol._drain_helper()

    def close(self) -> None:
        self._transport.close()


async def relay(request: BaseRequest, url: str) -> web.StreamResponse:
    """Connect ``request`` with ``url`` until either side ends. Raises ``StreamFailed``."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(
                parts.hostname, parts.port, limit=HEAD_LIMIT
            )
    except (OSError, TimeoutError) as error:
        raise StreamFailed(f"error dialing the container runtime: {error}") from error
    try:
        writer.write(_head(request, parts.path, parts.query, parts.netloc))
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        writer.close()
        raise StreamFailed(f"the container runtime did not answer: {error}") from error
    caller = _Caller(request)
    request.protocol.set_parser(caller)
    try:
        await caller.write(head)
        await _join(caller, reader, writer)
    finally:
        writer.close()
        caller.close()
    return _Hijacked()


def _head(request: BaseRequest, path: str, query: str, host: str) -> bytes:
    target = f"{path}?{query}" if query else path
    lines = [f"{request.method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [
        f"{name}: {value}"
        for name, value in request.headers.items()
        if name.lower() not in _DROPPED
    ]
    lines.append("Content-Length: 0")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _join(
    caller: _Caller, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    async def to_runtime() -> None:
        while data := await caller.read():
            writer.write(data)
            await writer.drain()

    async def to_caller() -> None:
        while data := await reader.read(HEAD_LIMIT):
            await caller.write(data)

    tasks = {asyncio.ensure_future(to_runtime()), asyncio.ensure_future(to_caller())}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            fault = task.exception()
            if fault is not None and not isinstance(fault, OSError):
                raise fault
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
