"""port-forward served by the kubelet: a real client's frames, real connections on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.web_request import BaseRequest

from trireme.kit import spdy
from trireme.kubelet.cri import info
from trireme.kubelet.server import portforward

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
PATIENCE = 10.0


class Client:
    """One that forwards ports, as kubectl does."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._spdy = spdy.Connection()
        self._count = 0
        self.came: dict[int, list[bytes]] = {}
        self.ended: set[int] = set()
        self.reset_by_peer: set[int] = set()

    def open(self, port: int, request: str = "") -> tuple[int, int]:
        """The error and the data stream of a new connection."""
        self._count += 1
        rest = {"port": str(port), "requestID": request or str(self._count)}
        error = self._spdy.open({"streamType": "error", **rest})
        data = self._spdy.open({"streamType": "data", **rest})
        self.flush()
        return error, data

    def send(self, stream: int, data: bytes = b"", *, fin: bool = False) -> None:
        self._spdy.send(stream, data, fin=fin)
        self.flush()

    def reset(self, stream: int) -> None:
        self._spdy.reset(stream)
        self.flush()

    def flush(self) -> None:
        self._writer.write(self._spdy.take())

    async def until(self, *streams: int) -> list[bytes]:
        """What each stream has brought when all have ended."""
        async with asyncio.timeout(PATIENCE):
            while not set(streams) <= self.ended | self.reset_by_peer:
                await self._read()
        return [b"".join(self.came.get(stream, [])) for stream in streams]

    async def some(self, stream: int) -> bytes:
        async with asyncio.timeout(PATIENCE):
            while not self.came.get(stream):
                await self._read()
        return b"".join(self.came.pop(stream))

    async def _read(self) -> None:
        data = await self._reader.read(65536)
        assert data, "the kubelet has hung up"
        for event in self._spdy.receive(data):
            if isinstance(event, spdy.Data):
                self.came.setdefault(event.stream, []).append(event.data)
                if event.fin:
                    self.ended.add(event.stream)
            elif isinstance(event, spdy.Reset):
                self.reset_by_peer.add(event.stream)
        self.flush()


@asynccontextmanager
async def forwarding(dial: portforward.Dial | None = None) -> AsyncIterator[Client]:
    """A client of a kubelet whose pod is this process."""
    dial = dial or portforward.into("")
    assert dial is not None

    async def handle(request: BaseRequest) -> web.StreamResponse:
        assert portforward.is_asked(request)
        return await portforward.serve(request, dial, "sandbox")

    before = asyncio.all_tasks()
    server = await asyncio.get_running_loop().create_server(web.Server(handle), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
            b"X-Stream-Protocol-Version: portforward.k8s.io\r\nContent-Length: 0\r\n\r\n"
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"X-Stream-Protocol-Version: portforward.k8s.io" in head
        yield Client(reader, writer)
        writer.close()
    async with asyncio.timeout(PATIENCE):
        # Nothing of a connection is left once its client has gone.
        left = asyncio.all_tasks() - before
        if left:
            await asyncio.wait(left)


@asynccontextmanager
async def pod(serve: Serve, family: socket.AddressFamily = socket.AF_INET) -> AsyncIterator[int]:
    host = "127.0.0.1" if family == socket.AF_INET else "::1"

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, host, 0, family=family)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers only when the client has sent its last byte."""
    size = len(await reader.read())
    for _ in range(5):
        await asyncio.sleep(0)
        writer.write(b"%d " % size)
        await writer.drain()


async def test_a_pod_answers_after_the_clients_last_byte() -> None:
    async with pod(count) as port, forwarding() as client:
        for size in (0, 5, 1_000_000):
            error, data = client.open(port)
            for start in range(0, size, 60_000):
                client.send(data, bytes(min(60_000, size - start)))
            client.send(data, fin=True)
            assert await client.until(error, data) == [b"", b"%d " % size * 5]


async def test_a_pod_that_has_said_all_ends_the_connection() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")

    async with pod(greet) as port, forwarding() as client:
        error, data = client.open(port)
        assert await client.until(error, data) == [b"", b"hello"]


async def test_what_a_pod_says_before_it_hangs_up_on_a_client_arrives() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        writer.write(b"too much")
        await writer.drain()
        await asyncio.sleep(0)

    async with pod(refuse) as port, forwarding() as client:
        error, data = client.open(port)
        client.send(data, b"x")
        assert await client.some(data) == b"too much"
        client.send(data, bytes(100_000))
        assert await client.until(error, data) == [b"", b""]


async def test_connections_are_apart() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data.upper())
            await writer.drain()

    async with pod(echo) as port, pod(count, socket.AF_INET6) as other, forwarding() as client:
        pairs = [client.open(port), client.open(other), client.open(port)]
        for number, (_, data) in enumerate(pairs):
            client.send(data, b"abc"[: number + 1])
        assert await client.some(pairs[0][1]) == b"A"
        assert await client.some(pairs[2][1]) == b"ABC"
        # One is given up: the others go on.
        client.reset(pairs[0][1])
        await client.until(pairs[0][0])
        client.send(pairs[2][1], b"d")
        assert await client.some(pairs[2][1]) == b"D"
        client.send(pairs[1][1], fin=True)
        assert await client.until(*pairs[1]) == [b"", b"2 " * 5]


class Stalled:
    """The way to a pod that takes nothing."""

    def write(self, data: bytes) -> None:
        pass

    async def drain(self) -> None:
        await asyncio.Event().wait()

    def close(self) -> None:
        pass


async def test_a_client_that_goes_while_a_pod_does_not_read() -> None:
    async def dial(port: int) -> Any:
        return asyncio.StreamReader(), Stalled()

    async with forwarding(dial) as client:
        _, data = client.open(80)
        for _ in range(100):
            client.send(data, b"x")


async def test_a_port_that_nobody_listens_on() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        async with forwarding() as client:
            error, data = client.open(port)
            text, rest = await client.until(error, data)
            assert rest == b""
            assert text.decode() == (
                f"error forwarding port {port} to pod sandbox, uid : failed to connect to "
                f"localhost:{port} inside the pod: 127.0.0.1: connection refused, "
                "::1: connection refused"
            )


@pytest.mark.parametrize(
    "headers",
    [
        {"streamType": "data"},
        {"streamType": "data", "port": "0"},
        {"streamType": "data", "port": "65536"},
        {"streamType": "data", "port": "x"},
        {"streamType": "other", "port": "80"},
        {"port": "80"},
    ],
)
async def test_streams_that_mean_nothing_are_refused(headers: dict[str, str]) -> None:
    async with pod(count) as port, forwarding() as client:
        stream = client._spdy.open(headers | {"requestID": "bad"})
        client.flush()
        await client.until(stream)
        assert stream in client.reset_by_peer
        error, data = client.open(port)
        client.send(data, b"x", fin=True)
        assert await client.until(error, data) == [b"", b"1 " * 5]


async def test_what_is_no_spdy_ends_the_connection() -> None:
    async with forwarding() as client:
        client._writer.write(b"\x80\x02\x00\x01\x00\x00\x00\x00")
        assert await client._reader.read() == b""


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{"runtimeSpec":{"linux":{"namespaces":[{"type":"pid"},{"type":"network","path":"/n"}]}}}',
         "/n"),
        ('{"runtimeSpec":{"linux":{"namespaces":[{"type":"pid"}]}}}', ""),
        ('{"runtimeSpec":{"linux":{"namespaces":[{"type":"network"}]}}}', None),
        ('{"runtimeSpec":{}}', None),
        ("{}", None),
        ("", None),
    ],
)  # fmt: skip
def test_where_a_pods_network_is(text: str, path: str | None) -> None:
    assert info.network_namespace(text) == path


def test_a_namespace_that_cannot_be_entered() -> None:
    assert portforward.into("/proc/self/ns/nothing") is None
    assert portforward.into("/dev/null") is None
