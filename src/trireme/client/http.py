"""The transport over HTTPS: aiohttp with pooled connections.

In: the server's URL, TLS settings (``Tls``) with or without a client certificate, a function that
returns the current bearer token. Out: ``Response`` and ``Stream`` values, ``Unreachable`` without
an answer. Made by ``kubeconfig`` and by the composition root.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path

import aiohttp
import msgspec
import yarl

from trireme.client.transport import Response, Stream, Unreachable
from trireme.kit.clock import Clock
from trireme.kit.pki import Pair
from trireme.kit.tls import client_context

# Requests beyond this many at once wait; watches do not count.
POOL = 64
REQUEST_TIMEOUT = 60.0
CONNECT_TIMEOUT = 10.0
_REQUEST = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT, sock_connect=CONNECT_TIMEOUT)
_STREAM = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT)
# Below the server's, so that a request rarely meets a connection that is just being closed.
KEEPALIVE = 50.0
TOKEN_FRESH = 60.0


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """TLS settings of a client. ``authority`` is the CA in PEM; empty: the system's CAs."""

    authority: bytes = b""
    client: Pair | None = None
    server_name: str = ""
    insecure: bool = False


class Http:
    """A ``Transport``. ``token`` is called for every request; "" sends none."""

    def __init__(
        self, server: str, tls: Tls | None = None, token: Callable[[], str] | None = None
    ) -> None:
        self._base = server.rstrip("/")
        self._token = token
        self._tls = tls or Tls()
        self._session: aiohttp.ClientSession | None = None
        self._slots = asyncio.Semaphore(POOL)
        self._closed = False

    @cached_property
    def ssl(self) -> ssl.SSLContext | bool:
        """Made at the first use: most controllers of an idle cluster never ask for anything. Raises
        ssl.SSLError for what is no certificate or key."""
        return context(self._tls) if self._base.startswith("https:") else False

    async def request(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        try:
            async with (
                self._slots,
                self._send(method, path, query, headers, body, _REQUEST) as answer,
            ):
                content = await answer.read()
                return Response(answer.status, _lower(answer), content)
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(method, self._base, path, error) from error

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator[Stream]:
        try:
            # Bounds the wait for the head only: the body has no end.
            async with asyncio.timeout(REQUEST_TIMEOUT):
                answer = await self._send(method, path, query, headers, body, _STREAM)
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(method, self._base, path, error) from error
        try:
            _set_keepalive(answer)
            yield Stream(answer.status, _lower(answer), self._chunks(answer, method, path))
        finally:
            # Not release(): that would read on to the end, and a watch has none.
            answer.close()

    async def close(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()

    def _send(
        self,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout: aiohttp.ClientTimeout,
    ) -> aiohttp.client._RequestContextManager:
        sent = dict(headers)
        token = self._token() if self._token is not None else ""
        if token:
            sent["Authorization"] = f"Bearer {token}"
        url = yarl.URL(f"{self._base}{path}?{query}" if query else self._base + path, encoded=True)
        return self._opened().request(
            method,
            url,
            headers=sent,
            data=body or None,
            timeout=timeout,
            allow_redirects=False,
            server_hostname=self._tls.server_name or None,
        )

    def _opened(self) -> aiohttp.ClientSession:
        """Made at the first use: a session belongs to the loop that it is made on. Streams and
        other requests share connections: that of a list is the one of the watch after it."""
        if self._closed:
            raise Unreachable(f"{self._base}: the transport is closed")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=self.ssl, keepalive_timeout=KEEPALIVE),
                # Compressing costs more than a cluster's own network.
                headers={"Accept-Encoding": "identity"},
                skip_auto_headers=("User-Agent", "Content-Type"),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def _chunks(
        self, answer: aiohttp.ClientResponse, method: str, path: str
    ) -> AsyncIterator[bytes]:
        try:
            async for chunk in answer.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(method, self._base, path, error) from error


class TokenFile:
    """The token in a file that is rotated (a projected service-account token): read again when the
    last reading is a minute old."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._token = ""
        self._read_at = float("-inf")

    def __call__(self) -> str:
        now = self._clock.monotonic()
        if now - self._read_at >= TOKEN_FRESH:
            self._token, self._read_at = self._path.read_text().strip(), now
        return self._token


def context(tls: Tls) -> ssl.SSLContext:
    """The TLS settings of a client. Raises ssl.SSLError for what is no certificate or key."""
    made = client_context(tls.authority, tls.client, verifies=not tls.insecure)
    made.set_alpn_protocols(["http/1.1"])
    return made


def _lower(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}


def _set_keepalive(answer: aiohttp.ClientResponse) -> None:
    """TCP keepalive: within a minute the kernel detects that the peer of an idle watch is gone."""
    connection = answer.connection
    transport = connection.transport if connection is not None else None
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _unreachable(method: str, base: str, path: str, error: BaseException) -> Unreachable:
    if isinstance(error, Unreachable):
        return error
    return Unreachable(f"{method} {base}{path}: {error or type(error).__name__}")
