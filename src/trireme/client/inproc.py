"""The transport to an API server in the same process: a call, without sockets.

In: requests. Out: the handler's answers. The composition root makes the handler from an API server
and the caller's identity; nothing here depends on servers. Used with the virtual clock, and by
components in the API server's process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from trireme.client.transport import Response, Stream, Unreachable

Answer = tuple[int, Mapping[str, str], "bytes | AsyncIterator[bytes]"]


class Handler(Protocol):
    """Answers one request as one fixed user: (status, headers, body). A body that is an iterator
    is a stream; whoever reads it closes it. Header names come in and go out in lower case."""

    async def __call__(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Answer: ...


class InProcess:
    """A ``Transport`` over a handler."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._closed = False

    async def request(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        status, answered, content = await self._call(method, path, query, headers, body)
        if not isinstance(content, bytes):
            try:
                content = b"".join([chunk async for chunk in content])
            finally:
                await _close(content)
        return Response(status, answered, content)

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator[Stream]:
        status, answered, content = await self._call(method, path, query, headers, body)
        if isinstance(content, bytes):
            yield Stream(status, answered, _once(content))
            return
        try:
            yield Stream(status, answered, content)
        finally:
            await _close(content)

    async def close(self) -> None:
        self._closed = True

    async def _call(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        if self._closed:
            raise Unreachable(f"{method} {path}: the transport is closed")
        lower = {name.lower(): value for name, value in headers.items()}
        return await self._handler(method, path, query, lower, body)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _close(chunks: object) -> None:
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()
