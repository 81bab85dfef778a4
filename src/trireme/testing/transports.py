"""Transports between a client and its API server that look at requests, or say who writes.

In: a transport. Out: one that passes requests on to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from trireme.client.transport import Response, Stream, Transport
from trireme.testing.journal import USER


class PassThrough:
    """A ``Transport`` that passes all on. A test overrides what it looks at or changes."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    async def request(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        return await self._inner.request(method, path, query, headers, body)

    def stream(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> AbstractAsyncContextManager[Stream]:
        return self._inner.stream(method, path, query, headers, body)

    async def close(self) -> None:
        await self._inner.close()


class AsUser(PassThrough):
    """While a request is answered, ``journal.USER`` is the client's name."""

    def __init__(self, inner: Transport, user: str) -> None:
        super().__init__(inner)
        self._user = user

    async def request(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        token = USER.set(self._user)
        try:
            return await self._inner.request(method, path, query, headers, body)
        finally:
            USER.reset(token)
