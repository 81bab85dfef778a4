"""How requests reach an API server: the contract of ``http`` (TLS) and ``inproc`` (a call).

In: method, path, query text, headers, body. Out: a ``Response``, or a ``Stream`` whose chunks come
as the server sends them. Called by ``client`` only. A transport does not know Kubernetes: every
status is an answer, and only an answer that never came is an error (``Unreachable``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec


class Unreachable(ConnectionError):
    """No answer: connection refused, broken or timed out. The request may have been carried out."""


class Response(msgspec.Struct, frozen=True):
    """A complete answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Stream(msgspec.Struct, frozen=True):
    """An answer that is still coming; ``chunks`` ends when the server ends it and raises
    ``Unreachable`` when the connection breaks. Valid inside its context only."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class Transport(Protocol):
    """One server and one identity. Used by any number of tasks of one event loop.

    Whoever made it closes it, after its last request; ``close`` may be called twice.
    """

    async def request(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        """Send and read everything. ``path`` is already quoted, ``query`` comes without "?"."""

    def stream(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> AbstractAsyncContextManager[Stream]:
        """Send and hand over the answer's chunks; leaving the context ends the request."""

    async def close(self) -> None:
        """Drop all connections."""


class Nowhere:
    """The transport of a component that runs without an API server: nothing is ever reached."""

    async def request(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        raise Unreachable(f"{method} {path}: there is no API server")

    def stream(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> AbstractAsyncContextManager[Stream]:
        raise Unreachable(f"{method} {path}: there is no API server")

    async def close(self) -> None:
        return
