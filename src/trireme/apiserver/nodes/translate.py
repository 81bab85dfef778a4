"""A WebSocket with channels on one side, SPDY streams on the other: exec, attach, port-forward.

A command's channels: 0 stdin, 1 stdout, 2 stderr, 3 error (a Status at the end), 4 resize; in v5,
message ``[255, channel]`` closes a channel. Before v4 the error channel carries plain text, and
nothing at all when the command has succeeded. The SPDY side has one stream per channel, named by
the header ``streamType``. Of a forwarded port, channel 2n carries its data and 2n+1 its error; each
begins with the port's number in two bytes, the lower first. Upstream: apiserver
``util/proxy/streamtranslator``, cri-streaming ``remotecommand`` and ``portforward``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from aiohttp import web
from aiohttp.web_request import BaseRequest

from trireme.apiserver.nodes import sockets
from trireme.apiserver.nodes.contract import RawStream
from trireme.kit import spdy, tasks
from trireme.machinery.status import Status

STDIN, STDOUT, STDERR, ERROR, RESIZE = 0, 1, 2, 3, 4
CLOSE = 255
_NAMES = {STDIN: "stdin", STDOUT: "stdout", STDERR: "stderr", ERROR: "error", RESIZE: "resize"}


async def command(
    incoming: BaseRequest, stream: RawStream, requested: Mapping[str, bool], protocol: str
) -> web.StreamResponse:
    """Translate until the remote command is over or the client goes."""
    # The error stream comes first: the runtime's server takes that for granted.
    channels = [ERROR]
    channels += [STDIN] if requested["stdin"] else []
    channels += [STDOUT] if requested["stdout"] else []
    channels += [STDERR] if requested["stderr"] else []
    channels += [RESIZE] if requested["tty"] else []
    try:
        socket = await sockets.opened(incoming, protocol)
        session = _Command(socket, stream, protocol)
        await session.open({channel: {"streamType": _NAMES[channel]} for channel in channels})
        # An empty message says that the connection is there.
        first = next((c for c in (STDOUT, STDERR) if c in channels), ERROR)
        await session.channels.send(first, b"")
        await session.run({ERROR, *(c for c in (STDOUT, STDERR) if c in channels)})
        await socket.close()
        return socket
    finally:
        stream.close()


async def ports(
    incoming: BaseRequest, stream: RawStream, numbers: Sequence[int], protocol: str
) -> web.StreamResponse:
    """Translate until every port's connection is over or the client goes."""
    requested: dict[int, dict[str, str]] = {}
    for index, number in enumerate(numbers):
        name = {"port": str(number), "requestID": str(index)}
        # Here too the error stream is expected first.
        requested[2 * index + 1] = {"streamType": "error", **name}
        requested[2 * index] = {"streamType": "data", **name}
    try:
        socket = await sockets.opened(incoming, protocol)
        session = _Ports(socket, stream, protocol)
        for channel in sorted(requested):
            await session.channels.send(channel, numbers[channel // 2].to_bytes(2, "little"))
        await session.open(requested)
        await session.run(set(requested))
        await socket.close()
        return socket
    finally:
        stream.close()


class _Session:
    """Channels joined with streams of the node's."""

    def __init__(self, socket: web.WebSocketResponse, stream: RawStream, protocol: str) -> None:
        self.channels = sockets.Channels(socket, protocol)
        self._stream = stream
        self._protocol = protocol
        self._spdy = spdy.Connection()
        self._streams: dict[int, int] = {}
        self._numbers: dict[int, int] = {}
        # The channels on which the node may still send.
        self._open: set[int] = set()

    async def open(self, requested: Mapping[int, Mapping[str, str]]) -> None:
        """Open a stream for each channel, with these headers, in this order."""
        self._streams = {channel: self._spdy.open(given) for channel, given in requested.items()}
        self._numbers = {number: channel for channel, number in self._streams.items()}
        await self._stream.write(self._spdy.take())

    async def run(self, expected: set[int]) -> None:
        """Copy both ways until the node has ended the expected channels."""
        self._open = expected
        await tasks.until_first(self._from_client(), self._from_node())

    async def _from_client(self) -> None:
        async for channel, payload in self.channels.received():
            self._pass_on(channel, payload)
            await self._stream.write(self._spdy.take())

    def _pass_on(self, channel: int, payload: bytes) -> None:
        raise NotImplementedError

    def _to_client(self, channel: int, data: bytes) -> bytes:
        return data

    async def _from_node(self) -> None:
        while self._open:
            data = await self._stream.read()
            if not data:
                return
            try:
                events = self._spdy.receive(data)
            except spdy.ProtocolError:
                return
            for event in events:
                await self._event(event)
            answer = self._spdy.take()
            if answer:
                await self._stream.write(answer)

    async def _event(self, event: spdy.Event) -> None:
        if isinstance(event, spdy.GoneAway):
            self._open.clear()
        elif isinstance(event, spdy.Reset):
            self._open.discard(self._numbers.get(event.stream, -1))
        elif isinstance(event, spdy.Data) and event.stream in self._numbers:
            channel = self._numbers[event.stream]
            data = self._to_client(channel, event.data)
            if data:
                await self.channels.send(channel, data)
            if event.fin:
                self._open.discard(channel)


class _Command(_Session):
    def _pass_on(self, channel: int, payload: bytes) -> None:
        if channel == CLOSE:
            if self._protocol.startswith("v5") and payload and payload[0] in self._streams:
                self._spdy.send(self._streams[payload[0]], b"", fin=True)
        elif channel in (STDIN, RESIZE) and channel in self._streams and payload:
            self._spdy.send(self._streams[channel], payload)

    def _to_client(self, channel: int, data: bytes) -> bytes:
        plain = channel == ERROR and not self._protocol.startswith(("v5", "v4"))
        return _as_text(data) if plain else data


class _Ports(_Session):
    def _pass_on(self, channel: int, payload: bytes) -> None:
        # A port's error is the node's to tell.
        if channel % 2 == 0 and channel in self._streams and payload:
            self._spdy.send(self._streams[channel], payload)


def _as_text(data: bytes) -> bytes:
    """What a Status says, for clients of old protocols; nothing for success."""
    try:
        status = msgspec.json.decode(data, type=Status)
    except msgspec.DecodeError:
        return data
    return b"" if status.status == "Success" else status.message.encode()
