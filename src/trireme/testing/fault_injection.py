"""Fault injection: a transport that fails on demand, for tests of clients.

In: another transport, to a real API server. Out: the same, but the network may be down, streams
break, responses are errors, late or lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from trireme.client.transport import Response, Stream, Transport, Unreachable
from trireme.machinery import errors
from trireme.machinery.codec import json

RequestFilter = Callable[[str, str, str], bool]


class FaultInjector:
    """A ``Transport``. ``calls`` lists the requests: "METHOD path?query"."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.calls: list[str] = []
        # Nothing gets through, and open streams break.
        self._down = asyncio.Event()
        # Requests are carried out, but their answers never come.
        self.silent = False
        self._refusals: list[tuple[RequestFilter, errors.ApiError]] = []
        self._breaks: set[asyncio.Event] = set()

    @property
    def down(self) -> bool:
        return self._down.is_set()

    @down.setter
    def down(self, value: bool) -> None:
        if value:
            self._down.set()
            self.break_streams()
        else:
            self._down.clear()

    def refuse(
        self, error: errors.ApiError, matches: RequestFilter | None = None, times: int = 1
    ) -> None:
        """Answer the next requests that are ``matches(method, path, query)`` with an error."""
        self._refusals += [(matches or (lambda *_: True), error)] * times

    def break_streams(self) -> None:
        """Break all open streams, as a lost connection does."""
        for broken in self._breaks:
            broken.set()

    async def request(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        refused = self._ask(method, path, query)
        if refused is not None:
            return refused
        response = await self._inner.request(method, path, query, headers, body)
        if self.silent:
            await asyncio.get_running_loop().create_future()
        return response

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator[Stream]:
        refused = self._ask(method, path, query)
        if refused is not None:
            yield Stream(refused.status, refused.headers, _once(refused.body))
            return
        broken = asyncio.Event()
        self._breaks.add(broken)
        try:
            async with self._inner.stream(method, path, query, headers, body) as stream:
                chunks = _until(stream.chunks, broken, path)
                try:
                    yield Stream(stream.status, stream.headers, chunks)
                finally:
                    await chunks.aclose()
        finally:
            self._breaks.discard(broken)

    async def close(self) -> None:
        await self._inner.close()

    def _ask(self, method: str, path: str, query: str) -> Response | None:
        self.calls.append(f"{method} {path}?{query}" if query else f"{method} {path}")
        if self.down:
            raise Unreachable(f"{method} {path}: the network is down")
        for position, (matches, error) in enumerate(self._refusals):
            if matches(method, path, query):
                del self._refusals[position]
                headers = {"retry-after": str(error.retry_after)} if error.retry_after else {}
                return Response(error.code, headers, json.encode(error.status()))
        return None


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _until(
    chunks: AsyncIterator[bytes], broken: asyncio.Event, path: str
) -> AsyncGenerator[bytes, None]:
    breaking = asyncio.ensure_future(broken.wait())
    try:
        while True:
            coming = asyncio.ensure_future(anext(chunks, None))
            try:
                await asyncio.wait({coming, breaking}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not coming.done():
                    coming.cancel()
                    await asyncio.wait({coming})
            if coming.cancelled():
                raise Unreachable(f"{path}: the stream broke")
            chunk = coming.result()
            if chunk is None:
                return
            yield chunk
    finally:
        breaking.cancel()
