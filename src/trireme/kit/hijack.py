"""Take a connection away from aiohttp after its request: raw bytes from there on.

In: a request whose answer leaves HTTP. Out: a ``Connection`` to the caller, whose bytes are what
follows the request. Who handles the request returns ``Hijacked()`` in the end. Called by the API
server (exec, attach, port-forward) and by the kubelet's server, for the same.
"""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.web_request import BaseRequest


def take(request: BaseRequest, head: bytes) -> Connection:
    """Answer with ``head`` and hand the connection over.

    Raises ``ConnectionResetError`` when the caller has gone, and so does writing.
    """
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the caller has gone")
    connection = Connection(transport, request.protocol)
    request.protocol.set_parser(connection)  # type: ignore[arg-type]
    transport.write(head)  # type: ignore[attr-defined]
    return connection


class Hijacked(web.StreamResponse):
    """What a handler returns when everything has been written already."""

    def __init__(self) -> None:
        super().__init__()
        self.force_close()

    async def prepare(self, request: BaseRequest) -> None:  # type: ignore[override]
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


class Connection:
    """The caller's end: what aiohttp's connection feeds us, and its transport to write to."""

    def __init__(self, transport: asyncio.BaseTransport, flow: BaseProtocol) -> None:
        self._transport = transport
        self._flow = flow
        self._incoming: asyncio.Queue[bytes] = asyncio.Queue()

    # aiohttp's parser protocol.
    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._incoming.put_nowait(bytes(data))
        return False, b""

    def feed_eof(self) -> None:
        self._incoming.put_nowait(b"")

    def set_exception(self, *_problem: object) -> None:
        self._incoming.put_nowait(b"")

    async def read(self) -> bytes:
        """Some bytes; empty at the end."""
        return await self._incoming.get()

    async def write(self, data: bytes) -> None:
        """Send bytes; waits while the caller is slow to take them."""
        if self._transport.is_closing():
            raise ConnectionResetError("the caller has gone")
        self._transport.write(data)  # type: ignore[attr-defined]
        # aiohttp's connection knows when the transport's buffer is full.
        await self._flow._drain_helper()

    def close(self) -> None:
        self._transport.close()
