"""A connection that leaves HTTP."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.web_request import BaseRequest

from trireme.kit import hijack


async def test_bytes_after_the_request_go_both_ways_until_either_end() -> None:
    observed: list[bytes] = []

    async def handle(request: BaseRequest) -> web.StreamResponse:
        connection = hijack.take(request, b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        while data := await connection.read():
            observed.append(data)
            await connection.write(data.upper())
        connection.close()
        return hijack.Hijacked()

    server = await asyncio.get_running_loop().create_server(web.Server(handle), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head == b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
        writer.write(b"abc")
        assert await reader.readexactly(3) == b"ABC"
        writer.close()
        await writer.wait_closed()
    assert b"".join(observed) == b"abc"


class Socket(asyncio.Transport):
    """A transport that only says whether it is read."""

    reading = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return False


async def test_a_caller_who_sends_more_than_is_read_has_to_wait() -> None:
    socket = Socket()
    connection = hijack.Connection(socket, None)  # type: ignore[arg-type]
    piece = bytes(1024)
    sent = 0
    while socket.reading:
        connection.feed_data(piece)
        sent += 1
    assert sent * len(piece) == hijack.BUFFER + len(piece)
    while not socket.reading:
        assert await connection.read() == piece
        sent -= 1
    assert sent * len(piece) == hijack.BUFFER // 2
    connection.feed_eof()
    assert [await connection.read() for _ in range(sent + 2)] == [piece] * sent + [b"", b""]
