"""Take a connection away from aiohttp after its request: raw bytes from there on."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.web_request import BaseRequest


class Hijacked(web.StreamResponse):
    """What a handler returns when everything has been written already."""

    def __init__(self) -> None:
        super().__init__()
        self.force_close()

    async def prepare(self, request: BaseRequest) -> None:  # type: ignore[override]
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


class _Connection:
    """The client's end: what aiohttp's connection feeds us, and its transport to write to."""

    def __init__(self, transport: asyncio.Transport, flow: BaseProtocol) -> None:
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
        return await self._incoming.get()

    async def write(self, data: bytes) -> None:
        if self._transport.is_closing():
            raise ConnectionResetError("the client has gone")
        self._transport.write(data)
        # aiohttp's connection knows when the transport's buffer is full: a slow client slows us.
        await self._flow._drain_helper()

    def close(self) -> None:
        self._transport.close()


def hijack(incoming: BaseRequest, head: bytes) -> _Connection:
    """Answer with ``head`` and hand the connection over."""
    transport = incoming.transport
    if transport is None:
        raise ConnectionResetError("the client has gone")
    connection = _Connection(transport, incoming.protocol)  # type: ignore[arg-type]
    transport.write(head)  # type: ignore[attr-defined]
    incoming.protocol.set_parser(connection)
    return connection
