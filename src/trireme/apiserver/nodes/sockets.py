"""WebSockets as clients of exec, attach, port-forward, logs and watches speak them.

In: a request that asks for one, by the subprotocols that it offers. Out: an open socket; messages
with channels over it, or messages one way. Upstream: ``wsstream`` of the streaming library.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Iterable

from aiohttp import WSMessage, web
from aiohttp.web_request import BaseRequest

from trireme.apiserver.reply.reply import Aborted, Chunks
from trireme.apiserver.request import Request
from trireme.kit import tasks
from trireme.machinery import errors

# Of a client's message; also what is buffered of one.
MESSAGE_LIMIT = 32 * 1024 * 1024
# A browser cannot set headers: its token stands among the protocols, and is none.
_TOKEN = "base64url.bearer.authorization.k8s.io."


def is_asked(request: Request) -> bool:
    """Whether a request wants to become a WebSocket."""
    headers = request.headers
    return (
        headers.get("upgrade", "").lower() == "websocket"
        and "upgrade" in headers.get("connection", "").lower()
        and request.upgrade is not None
    )


def offered(request: Request) -> list[str]:
    """The subprotocols that a client offers, in its order; one empty one where it offers none."""
    listed = request.headers.get("sec-websocket-protocol", "").split(",")
    names = (name.strip() for name in listed)
    return [name for name in names if name and not name.startswith(_TOKEN)] or [""]


def accepted_protocol(request: Request, allowed: Iterable[str]) -> str:
    """The first subprotocol offered that is allowed; 400 where none is."""
    known = list(allowed)
    found = next((name for name in offered(request) if name in known), None)
    if found is None:
        supported = ", ".join(name or "none at all" for name in known)
        raise errors.bad_request(
            f"requested protocol(s) are not supported: {', '.join(offered(request))}; "
            f"supports {supported}"
        )
    return found


async def opened(incoming: BaseRequest, protocol: str) -> web.WebSocketResponse:
    """The socket, ready to be spoken over."""
    protocols = (protocol,) if protocol else ()
    socket = web.WebSocketResponse(
        protocols=protocols, max_msg_size=MESSAGE_LIMIT, compress=False, autoping=True
    )
    await socket.prepare(incoming)
    return socket


class Channels:
    """Messages that begin with the number of their channel; ``base64``: as a digit, and the rest
    encoded, in text."""

    def __init__(self, socket: web.WebSocketResponse, protocol: str) -> None:
        self._socket = socket
        self._is_text = "base64" in protocol

    async def send(self, channel: int, data: bytes) -> None:
        if self._is_text:
            await self._socket.send_str(chr(ord("0") + channel) + base64.b64encode(data).decode())
        else:
            await self._socket.send_bytes(bytes([channel]) + data)

    async def received(self) -> AsyncIterator[tuple[int, bytes]]:
        """Channel and payload of each message until the client closes; what is no message of this
        protocol is passed over, as upstream does."""
        async for message in self._socket:
            data = _bytes(message)
            if not data:
                continue
            if not self._is_text:
                yield data[0], data[1:]
                continue
            try:
                yield data[0] - ord("0"), base64.b64decode(data[1:], validate=True)
            except binascii.Error:
                continue


async def push(
    incoming: BaseRequest, protocol: str, messages: Chunks[bytes | str]
) -> web.StreamResponse:
    """Send messages until they end or the client goes; what it sends is ignored."""
    try:
        socket = await opened(incoming, protocol)

        async def send() -> None:
            async for message in messages:
                if isinstance(message, str):
                    await socket.send_str(message)
                else:
                    await socket.send_bytes(message)

        async def ignore() -> None:
            async for _ in socket:
                pass

        try:
            await tasks.until_first(send(), ignore())
        except Aborted:
            await socket.close(code=1011)
        await socket.close()
        return socket
    finally:
        await messages.aclose()


def _bytes(message: WSMessage) -> bytes:
    data = message.data
    if isinstance(data, str):
        return data.encode()
    return data if isinstance(data, bytes) else b""
