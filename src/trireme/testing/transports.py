"""Transports of a cluster's clients that say who writes.

In: a transport and the name of its user. Out: the same transport; while a request is answered,
``journal.USER`` is that name.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from trireme.client.transport import Response, Stream, Transport
from trireme.testing.journal import USER


class AsUser:
    """A ``Transport``."""

    def __init__(self, inner: Transport, user: str) -> None:
        self._inner = inner
        self._user = user

    async def request(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        token = USER.set(self._user)
        try:
            return await self._inner.request(method, path, query, headers, body)
        finally:
            USER.reset(token)

    def stream(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> AbstractAsyncContextManager[Stream]:
        return self._inner.stream(method, path, query, headers, body)

    async def close(self) -> None:
        await self._inner.close()
