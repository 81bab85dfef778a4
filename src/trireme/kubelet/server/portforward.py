"""port-forward, served by the kubelet itself: SPDY to the client, TCP to the pod's loopback.

In: a request that upgrades to SPDY, and a function that connects to a port of the pod. Out: for
each pair of streams (``error``, ``data``, joined by ``requestID``) a connection, whose directions
close independently. containerd's stream server closes both a second after the client's last byte,
and loses later answers of the pod. Called by server/app where the runtime gives the network
namespace of a pod. Upstream: cri-streaming ``portforward`` (httpstream).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.web_request import BaseRequest

from trireme.kit import hijack, netns, spdy, tasks

PROTOCOL = "portforward.k8s.io"
CONNECT_SECONDS = 5.0
# Frames buffered for a pod that does not read; then the client is not read either.
_WAITING = 32
_PIECE = 32 * 1024
_LOOPBACK = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
_HEAD = (
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
    f"X-Stream-Protocol-Version: {PROTOCOL}\r\n\r\n"
).encode()

# Connects to a port of the pod. Raises OSError.
Dial = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


def is_asked(request: BaseRequest) -> bool:
    """Whether a request upgrades to the protocol served here."""
    offered = request.headers.getall("X-Stream-Protocol-Version", [])
    return request.headers.get("Upgrade", "").lower() == "spdy/3.1" and PROTOCOL in offered


def into(namespace: str) -> Dial | None:
    """A function that connects to ports on the loopback of a network namespace, the own one if it
    is empty; None without the permission to enter it."""
    try:
        _made(socket.AF_INET, namespace).close()
    except OSError:
        return None

    async def dial(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        problems = []
        for family, host in _LOOPBACK:
            try:
                made = _made(family, namespace)
            except OSError as problem:
                problems.append(f"{host}: {_words(problem)}")
                continue
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await asyncio.get_running_loop().sock_connect(made, (host, port))
                return await asyncio.open_connection(sock=made)
            except OSError as problem:
                made.close()
                problems.append(f"{host}: {_words(problem)}")
            except BaseException:
                made.close()
                raise
        raise ConnectionRefusedError(
            f"failed to connect to localhost:{port} inside the pod: {', '.join(problems)}"
        )

    return dial


async def serve(request: BaseRequest, dial: Dial, sandbox: str) -> web.StreamResponse:
    """Forward until the client disconnects."""
    caller = hijack.take(request, _HEAD)
    try:
        await _Session(caller, dial, sandbox).run()
    finally:
        caller.close()
    return hijack.Hijacked()


@dataclass(eq=False)
class _Pair:
    """The two streams of one connection. ``incoming``: data of the client, None at its end."""

    port: int
    error: int = 0
    data: int = 0
    incoming: asyncio.Queue[bytes | None] = field(
        default_factory=lambda: asyncio.Queue(maxsize=_WAITING)
    )
    task: asyncio.Task[None] | None = None


class _Session:
    """One client's connection."""

    def __init__(self, caller: hijack.Connection, dial: Dial, sandbox: str) -> None:
        self._caller = caller
        self._dial = dial
        self._sandbox = sandbox
        self._spdy = spdy.Connection(client=False)
        # By requestID until both streams are open, by stream until the connection is closed.
        self._halves: dict[str, _Pair] = {}
        self._pairs: dict[int, _Pair] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            with contextlib.suppress(OSError, spdy.ProtocolError):
                await self._read(group)
            for pair in set(self._pairs.values()):
                if pair.task is not None:
                    pair.task.cancel()

    async def _read(self, group: asyncio.TaskGroup) -> None:
        while data := await self._caller.read():
            for event in self._spdy.receive(data):
                if isinstance(event, spdy.GoneAway):
                    return
                if isinstance(event, spdy.Opened):
                    self._opened(event, group)
                elif isinstance(event, spdy.Data):
                    await self._came(event)
                elif isinstance(event, spdy.Reset):
                    self._reset(event)
            await self._flush()

    def _opened(self, event: spdy.Opened, group: asyncio.TaskGroup) -> None:
        kind, port = event.headers.get("streamtype"), _port(event.headers)
        pair = self._halves.setdefault(event.headers.get("requestid", ""), _Pair(port))
        if not port or port != pair.port or kind not in ("error", "data") or getattr(pair, kind):
            self._spdy.reset(event.stream)
            return
        self._spdy.accept(event.stream)
        self._pairs[event.stream] = pair
        setattr(pair, kind, event.stream)
        if pair.error and pair.data:
            del self._halves[event.headers.get("requestid", "")]
            pair.task = group.create_task(self._forward(pair), name=f"port-forward {port}")

    async def _came(self, event: spdy.Data) -> None:
        pair = self._pairs.get(event.stream)
        if pair is None or event.stream != pair.data:
            return
        for item in ([event.data] if event.data else []) + ([None] if event.fin else []):
            if pair.incoming.full():
                # The client may disconnect while its frames wait.
                await tasks.until_first(pair.incoming.put(item), self._caller.lost())
            else:
                pair.incoming.put_nowait(item)

    def _reset(self, event: spdy.Reset) -> None:
        pair = self._pairs.get(event.stream)
        if pair is not None and pair.task is not None and event.stream == pair.data:
            pair.task.cancel()

    async def _forward(self, pair: _Pair) -> None:
        """One connection, until the pod has closed its direction."""
        try:
            reader, writer = await self._dial(pair.port)
        except OSError as problem:
            text = f"error forwarding port {pair.port} to pod {self._sandbox}, uid : {problem}"
            self._spdy.send(pair.error, text.encode())
        else:
            try:
                await tasks.until_first(self._to_client(pair, reader), self._to_pod(pair, writer))
            finally:
                writer.close()
        finally:
            for stream in (pair.data, pair.error):
                self._pairs.pop(stream, None)
                self._spdy.send(stream, b"", fin=True)
            # Drain the queue: a reader may wait for room in it.
            while not pair.incoming.empty():
                pair.incoming.get_nowait()
            with contextlib.suppress(OSError):
                await self._flush()

    async def _to_client(self, pair: _Pair, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(_PIECE):
            self._spdy.send(pair.data, data)
            await self._flush()

    async def _to_pod(self, pair: _Pair, writer: asyncio.StreamWriter) -> None:
        takes = True
        while (data := await pair.incoming.get()) is not None:
            # A pod that no longer reads may still write.
            takes = takes and await _written(writer, data)
        if takes:
            with contextlib.suppress(OSError):
                writer.write_eof()
        # The connection ends when the pod closes its direction, or the client disconnects.
        await asyncio.Event().wait()

    async def _flush(self) -> None:
        data = self._spdy.take()
        if data:
            await self._caller.write(data)


async def _written(writer: asyncio.StreamWriter, data: bytes) -> bool:
    try:
        writer.write(data)
        await writer.drain()
    except OSError:
        return False
    return True


def _port(headers: Mapping[str, str]) -> int:
    text = headers.get("port", "")
    number = int(text) if text.isascii() and text.isdigit() else 0
    return number if number < 65536 else 0


def _made(family: socket.AddressFamily, namespace: str) -> socket.socket:
    if not namespace:
        made = socket.socket(family, socket.SOCK_STREAM)
    else:
        with netns.inside(namespace):
            made = socket.socket(family, socket.SOCK_STREAM)
    made.setblocking(False)
    return made


def _words(problem: OSError) -> str:
    if isinstance(problem, TimeoutError):
        return "i/o timeout"
    return os.strerror(problem.errno).lower() if problem.errno else str(problem)
