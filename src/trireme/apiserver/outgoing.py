"""HTTP to servers that others control: kubelets, pods, Services, webhooks.

In: an address and a request. Out: the answer's head, and its body in pieces. Nothing in an answer
steers the API server: a redirect is an answer like any other, cookies are forgotten, heads and
bodies that are read whole have a limit. ``filtered`` also refuses addresses that are no global
unicast ones; that is decided for the address that is dialled, after its name was resolved.
Upstream: apimachinery ``util/net``, the checks of pkg/registry/core/pod and node.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import aiohappyeyeballs
import aiohttp
from yarl import URL

from trireme.apiserver.reply.reply import Aborted, Chunks, Closing

CONNECT_TIMEOUT = 5.0
# Of an answer's head, each line and all.
_LINE, _LINES = 64 * 1024, 1024
FAILURES = (aiohttp.ClientError, OSError, TimeoutError)


class NotAllowed(OSError):
    """The address is none that requests are passed on to."""

    def __init__(self) -> None:
        super().__init__("address not allowed")


class TooLarge(OSError):
    """An answer has more bytes than are read."""


def is_proxyable(address: str) -> bool:
    """Whether an IP address is a global unicast one, by Go's definition; private ones are."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return not (
        ip.is_unspecified
        or ip.is_loopback
        or ip.is_multicast
        or ip.is_link_local
        or ip == ipaddress.IPv4Address("255.255.255.255")
    )


class Outgoing:
    """Connections to any number of servers, pooled; opened inside the running loop."""

    def __init__(self, *, filtered: bool = False) -> None:
        self._filtered = filtered
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        tls: ssl.SSLContext | bool = True,
        server_name: str | None = None,
    ) -> aiohttp.ClientResponse:
        """The answer, once its head is there; raises ``FAILURES``. ``url`` is encoded.

        ``tls`` is False where a server's certificate is not verified.
        """
        if self._session is None:
            self._session = self._open()
        return await self._session.request(
            method,
            URL(url, encoded=True),
            headers=headers,
            data=body or None,
            ssl=tls,
            server_hostname=server_name,
            allow_redirects=False,
        )

    async def connect(
        self, host: str, port: int, tls: ssl.SSLContext | None, server_name: str | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection for bytes; raises OSError."""
        async with asyncio.timeout(CONNECT_TIMEOUT):
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            sock = await aiohappyeyeballs.start_connection(found, socket_factory=self._socket)
            name = (server_name or host) if tls is not None else None
            return await asyncio.open_connection(sock=sock, ssl=tls, server_hostname=name)

    async def close(self) -> None:
        """Close what is open."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, socket_factory=self._socket),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
            max_line_size=_LINE,
            max_field_size=_LINE,
            max_headers=_LINES,
        )

    def _socket(self, info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        if self._filtered and not is_proxyable(address[0]):
            raise NotAllowed
        return socket.socket(family, kind, protocol)


def chunks(response: aiohttp.ClientResponse) -> Chunks[bytes]:
    """The body as it comes; closing the iterator hangs up. ``Aborted`` where the end is missing."""

    async def chunks_until_end() -> AsyncGenerator[bytes]:
        try:
            async for chunk in response.content.iter_any():
                yield chunk
        except FAILURES as problem:
            raise Aborted(str(problem)) from None

    async def close() -> None:
        response.close()

    return Closing(chunks_until_end(), close)


async def read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The whole body; raises ``FAILURES``, ``TooLarge`` for more than ``limit`` bytes."""
    body = await first(response.content, limit + 1)
    if len(body) > limit:
        response.close()
        raise TooLarge(f"the answer has more than {limit} bytes")
    response.release()
    return body


async def first(stream: aiohttp.StreamReader | asyncio.StreamReader, limit: int) -> bytes:
    """What comes until the end, at most ``limit`` bytes."""
    body = b""
    while len(body) < limit and (chunk := await stream.read(limit - len(body))):
        body += chunk
    return body


def refuses(problem: BaseException) -> bool:
    """Whether an exception of ``request`` or ``connect`` says that the address is not allowed."""
    inner = problem.os_error if isinstance(problem, aiohttp.ClientConnectorError) else problem
    return isinstance(inner, NotAllowed)


def explain(problem: BaseException, host: str, port: int) -> str:
    """Why nobody answers, in Go's words as far as clients know them."""
    inner = problem.os_error if isinstance(problem, aiohttp.ClientConnectorError) else problem
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if isinstance(inner, ssl.SSLCertVerificationError):
        message = getattr(inner, "verify_message", "") or inner
        return f"tls: failed to verify certificate: x509: {message}"
    if isinstance(inner, ssl.SSLError):
        if inner.reason == "WRONG_VERSION_NUMBER":
            return "tls: first record does not look like a TLS handshake"
        return f"tls: {inner.reason or inner}"
    if isinstance(inner, TimeoutError):
        return f"dial tcp {where}: i/o timeout"
    if isinstance(inner, socket.gaierror) or isinstance(problem, aiohttp.ClientConnectorDNSError):
        return f"dial tcp: lookup {host}: no such host"
    if isinstance(inner, OSError) and inner.errno and inner.strerror:
        return f"dial tcp {where}: connect: {os.strerror(inner.errno).lower()}"
    if isinstance(inner, aiohttp.ServerDisconnectedError):
        return "EOF"
    return str(inner) or type(inner).__name__
