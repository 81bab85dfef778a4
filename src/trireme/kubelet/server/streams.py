"""exec, attach and port-forward: relay the client's connection to the runtime's stream server.

In: an upgrade request, and the URL that CRI gave for it. Out: bytes, both ways, unchanged. Called
by server/app. Rules: reference "Streaming": the runtime speaks SPDY; the API server translates
WebSockets. The kubelet relays because it authorizes, and because the runtime listens on the node's
loopback.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.web_request import BaseRequest

from trireme.kit import hijack, tasks

HEAD_LIMIT = 64 * 1024
CONNECT_SECONDS = 5.0
# Hop-by-hop headers, and those that the runtime must not get.
_DROPPED = {"host", "authorization", "x-forwarded-for", "content-length", "transfer-encoding"}


class StreamFailed(Exception):
    """The runtime's stream server did not answer."""


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
    try:
        caller = hijack.take(request, head)
        try:
            await _join(caller, reader, writer)
        finally:
            caller.close()
    finally:
        writer.close()
    return hijack.Hijacked()


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
    caller: hijack.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    async def to_runtime() -> None:
        while data := await caller.read():
            writer.write(data)
            await writer.drain()

    async def to_caller() -> None:
        while data := await reader.read(HEAD_LIMIT):
            await caller.write(data)

    await tasks.until_first(to_runtime(), to_caller())
