"""A WebSocket with channels on one side, SPDY streams on the other: exec and attach.

Channels: 0 stdin, 1 stdout, 2 stderr, 3 error (a Status at the end), 4 resize; in v5, message
``[255, channel]`` closes a channel. Before v4 the error channel carries plain text, and nothing at
all when the command has succeeded. The SPDY side has one stream per channel, named by the header
``streamType``. Upstream: apiserver ``util/proxy/streamtranslator``.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from aiohttp import web
from aiohttp.web_request import BaseRequest

from trireme.apiserver.nodes.contract import RawStream
from trireme.kit import spdy, tasks
from trireme.machinery.status import Status

STDIN, STDOUT, STDERR, ERROR, RESIZE = 0, 1, 2, 3, 4
CLOSE = 255
_NAMES = {STDIN: "stdin", STDOUT: "stdout", STDERR: "stderr", ERROR: "error", RESIZE: "resize"}


async def run(
    incoming: BaseRequest, stream: RawStream, wanted: Mapping[str, bool], protocol: str
) -> web.StreamResponse:
    """Translate until the remote command is over or the client goes."""
    socket = web.WebSocketResponse(protocols=(protocol,), autoping=True, max_msg_size=0)
    await socket.prepare(incoming)  # type: ignore[arg-type]
    session = _Session(socket, stream, wanted, protocol)
    try:
        await session.run()
    finally:
        stream.close()
        await socket.close()
    return socket


class _Session:
    def __init__(
        self,
        socket: web.WebSocketResponse,
        stream: RawStream,
        wanted: Mapping[str, bool],
        protocol: str,
    ) -> None:
        self._socket = socket
        self._stream = stream
        self._closes = protocol.startswith("v5")
        self._plain_errors = not protocol.startswith(("v5", "v4"))
        self._spdy = spdy.Connection()
        # The error stream comes first: the runtime's server takes that for granted.
        channels = [ERROR]
        channels += [STDIN] if wanted["stdin"] else []
        channels += [STDOUT] if wanted["stdout"] else []
        channels += [STDERR] if wanted["stderr"] else []
        channels += [RESIZE] if wanted["tty"] else []
        self._streams = {
            channel: self._spdy.open({"streamType": _NAMES[channel]}) for channel in channels
        }
        self._channels = {number: channel for channel, number in self._streams.items()}
        self._open = {ERROR, *(c for c in (STDOUT, STDERR) if c in self._streams)}

    async def run(self) -> None:
        await self._stream.write(self._spdy.take())
        await tasks.until_first(self._from_client(), self._from_node())

    async def _from_client(self) -> None:
        async for message in self._socket:
            data = message.data
            if isinstance(data, str):
                data = data.encode()
            if not isinstance(data, bytes) or not data:
                continue
            channel, payload = data[0], data[1:]
            if channel == CLOSE:
                if self._closes and payload and payload[0] in self._streams:
                    self._spdy.send(self._streams[payload[0]], b"", fin=True)
            elif channel in (STDIN, RESIZE) and channel in self._streams and payload:
                self._spdy.send(self._streams[channel], payload)
            await self._stream.write(self._spdy.take())

    async def _from_node(self) -> None:
        """Pass on what the command writes; over when every stream of the node's has ended."""
        while self._open:
            data = await self._stream.read()
            if not data:
                return
            for event in self._spdy.receive(data):
                await self._event(event)
            answer = self._spdy.take()
            if answer:
                await self._stream.write(answer)

    async def _event(self, event: spdy.Event) -> None:
        if isinstance(event, spdy.Data):
            channel = self._channels.get(event.stream)
            if channel is None:
                return
            data = event.data
            if channel == ERROR and self._plain_errors:
                data = _as_text(data)
            if data:
                await self._socket.send_bytes(bytes([channel]) + data)
            if event.fin:
                self._open.discard(channel)
        elif isinstance(event, spdy.Reset):
            self._open.discard(self._channels.get(event.stream, -1))
        elif isinstance(event, spdy.GoneAway):
            self._open.clear()


def _as_text(data: bytes) -> bytes:
    """What a Status says, for clients of old protocols; nothing for success."""
    try:
        status = msgspec.json.decode(data, type=Status)
    except msgspec.DecodeError:
        return data
    return b"" if status.status == "Success" else status.message.encode()
