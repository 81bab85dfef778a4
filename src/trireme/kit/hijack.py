"""Hijack a connection from aiohttp after its request: raw bytes from there on.

In: an upgrade request. Out: a ``Connection`` to the client, with the bytes that follow the request.
The request's handler returns ``Hijacked()`` in the end. Called by the API
server (exec, attach, port-forward) and by the kubelet's server, for the same.
"""

from __future__ import annotations

import asyncio
from collections import deque

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.web_request import BaseRequest

# Bytes buffered; with more the client's socket is not read.
BUFFER = 256 * 1024


def take(request: BaseRequest, head: bytes) -> Connection:
    """Answer with ``head`` and hand the connection over.

    Raises ``ConnectionResetError`` when the caller has gone, and so does writing.
    """
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the caller has gone")
    connection = Connection(transport, request.protocol)
    # aiohttp wants any parser, and says the one of its WebSockets.
    request.protocol.set_parser(connection)  # type: ignore[arg-type]
    transport.write(head)
    return connection


class Hijacked(web.StreamResponse):
    """The return value of a handler that has written the response itself."""

    def __init__(self) -> None:
        super().__init__()
        self.force_close()

    async def prepare(self, request: BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


class Connection:
    """The connection to the client: data fed by aiohttp's parser, and its transport to write to."""

    def __init__(self, transport: asyncio.Transport, flow: BaseProtocol) -> None:
        self._transport = transport
        self._flow = flow
        self._incoming: deque[bytes] = deque()
        self._waiting = 0
        self._arrived, self._lost = asyncio.Event(), asyncio.Event()
        self._ended = self._paused = False

    # aiohttp's parser protocol.
    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._incoming.append(bytes(data))
        self._waiting += len(data)
        if self._waiting > BUFFER and not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()
        self._arrived.set()
        return False, b""

    def feed_eof(self) -> None:
        self._ended = True
        self._arrived.set()
        self._lost.set()

    def set_exception(self, *_problem: object) -> None:
        self.feed_eof()

    async def read(self) -> bytes:
        """Some bytes; empty at the end."""
        while not self._incoming:
            if self._ended:
                return b""
            self._arrived.clear()
            await self._arrived.wait()
        data = self._incoming.popleft()
        self._waiting -= len(data)
        if self._paused and self._waiting <= BUFFER // 2 and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
        return data

    async def lost(self) -> None:
        """Wait until the client disconnects, or sends no more."""
        await self._lost.wait()

    async def write(self, data: bytes) -> None:
        """Send bytes; waits while the client is slow to read."""
        if self._transport.is_closing():
            raise ConnectionResetError("the caller has gone")
        self._transport.write(data)
        # aiohttp's connection knows when the transport's buffer is full.
        await self._flow._drain_helper()

    def close(self) -> None:
        self._transport.close()
