"""Requests to aggregated API servers, in the name of a user, with the front proxy's certificate.

In: an APIService that names a Service, a request, who asks. Out: the answer, or a connection that
has left HTTP. The server is one of the Service's ready endpoints; its certificate is checked for
``<name>.<namespace>.svc``. Whatever an answer says, no redirect is followed. Upstream:
kube-aggregator ``handler_proxy.go``, apiserver ``util/proxy``, client-go ``transport``.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from functools import lru_cache
from random import Random
from typing import NamedTuple
from urllib.parse import quote

import aiohttp
from multidict import CIMultiDict

from trireme.api.apiregistration.v1.apiservice import APIService, ServiceReference
from trireme.apiserver import outgoing
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.nodes import services
from trireme.apiserver.outgoing import Outgoing
from trireme.apiserver.request import User
from trireme.apiserver.settings.aggregator import AggregatorSettings
from trireme.kit import tls
from trireme.kit.pki import Pair
from trireme.machinery import gotext

# What Go's net/http calls a token, and takes for a header's value.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_NO_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_KEY_PLAIN = "!#$&'*+.^_`|~-"


class Unreachable(OSError):
    """Nobody answers; the text says why."""


class Address(NamedTuple):
    host: str
    port: int

    @property
    def text(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Fetched(NamedTuple):
    """An answer that was read whole."""

    status: int
    headers: CIMultiDict[str]
    body: bytes


class Upgraded(NamedTuple):
    """The answer to a request to leave HTTP, and the connection behind it."""

    status: int
    head: list[tuple[str, str]]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Servers:
    """The connections to all aggregated API servers; ``close`` when done."""

    def __init__(self, reader: Reader, rng: Random, settings: AggregatorSettings) -> None:
        self._reader = reader
        self._rng = rng
        self._client = settings.client
        self._transport = settings.transport or Outgoing(filtered=True)

    def resolve(self, reference: ServiceReference) -> Address:
        """One of the addresses that a Service leads to. Unreachable."""
        port = reference.port or 443
        try:
            found = services.resolve(
                self._reader, self._rng, reference.namespace, reference.name, port
            )
        except OSError as problem:
            raise Unreachable(str(problem)) from None
        return Address(*found)

    async def request(
        self,
        obj: APIService,
        address: Address,
        method: str,
        target: str,
        headers: CIMultiDict[str],
        body: bytes = b"",
    ) -> aiohttp.ClientResponse:
        """The answer, once its head is there. ``target`` is the path and query, encoded."""
        url = f"https://{address.text}{target}"
        try:
            return await self._transport.request(
                method,
                url,
                headers,
                body,
                tls=self._tls(obj),
                server_name=_server_name(obj),
            )
        except outgoing.FAILURES as problem:
            raise Unreachable(outgoing.explain(problem, *address)) from None
        except ValueError as problem:
            # A certificate bundle that is none.
            raise Unreachable(str(problem)) from None

    async def fetch(
        self,
        obj: APIService,
        address: Address,
        target: str,
        user: User,
        limit: int,
        timeout: float,
        accept: str = "",
        etag: str = "",
    ) -> Fetched:
        """The API server's own GET, read whole. Unreachable, also for more than ``limit`` bytes or
        ``timeout`` seconds."""
        headers = CIMultiDict(identity(user, uids=False))
        if accept:
            headers["Accept"] = accept
        if etag:
            headers["If-None-Match"] = etag
        try:
            async with asyncio.timeout(timeout):
                answer = await self.request(obj, address, "GET", target, headers)
                body = await outgoing.read(answer, limit)
        except TimeoutError:
            raise Unreachable("request timed out") from None
        except outgoing.FAILURES as problem:
            raise Unreachable(outgoing.explain(problem, *address)) from None
        return Fetched(answer.status, CIMultiDict(answer.headers), body)

    async def upgrade(
        self,
        obj: APIService,
        address: Address,
        method: str,
        target: str,
        head: CIMultiDict[str],
        body: bytes = b"",
    ) -> Upgraded:
        """Ask to leave HTTP on a connection of its own. Unreachable."""
        lines = [
            f"{method} {target} HTTP/1.1",
            f"Host: {address.text}",
            *(f"{name}: {value}" for name, value in head.items()),
        ]
        writer: asyncio.StreamWriter | None = None
        try:
            context, name = self._tls(obj), _server_name(obj)
            reader, writer = await self._transport.connect(*address, context, name)
            writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            await writer.drain()
            status, found = _parse_head(await reader.readuntil(b"\r\n\r\n"))
        except (
            *outgoing.FAILURES,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
            ValueError,
        ) as problem:
            if writer is not None:
                writer.close()
            raise Unreachable(outgoing.explain(problem, *address)) from None
        except BaseException:
            if writer is not None:
                writer.close()
            raise
        return Upgraded(status, found, reader, writer)

    async def close(self) -> None:
        """Close what is open."""
        await self._transport.close()

    def _tls(self, obj: APIService) -> ssl.SSLContext:
        return _context(obj.spec.caBundle, obj.spec.insecureSkipTLSVerify, self._client)


def identity(user: User, *, uids: bool) -> list[tuple[str, str]]:
    """The headers that say who asks. Unreachable for what no header can carry."""
    found = [("X-Remote-User", user.name)]
    if uids and user.uid:
        found.append(("X-Remote-Uid", user.uid))
    found += [("X-Remote-Group", group) for group in user.groups]
    found += [
        (f"X-Remote-Extra-{quote(key, safe=_KEY_PLAIN)}", value)
        for key, values in user.extra.items()
        for value in values
    ]
    for name, value in found:
        if not _TOKEN.match(name):
            raise Unreachable(f"net/http: invalid header field name {gotext.quote(name)}")
        if _NO_VALUE.search(value):
            raise Unreachable(f"net/http: invalid header field value for {gotext.quote(name)}")
    return found


def _server_name(obj: APIService) -> str:
    assert obj.spec.service is not None
    return f"{obj.spec.service.name}.{obj.spec.service.namespace}.svc"


@lru_cache(maxsize=64)
def _context(bundle: bytes, insecure: bool, client: Pair | None) -> ssl.SSLContext:
    return tls.client_context(bundle, client, verifies=not insecure)


def _parse_head(head: bytes) -> tuple[int, list[tuple[str, str]]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ", 2)
    if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not parts[1].isdecimal():
        raise ValueError("malformed HTTP response")
    found = [line.partition(":") for line in lines]
    return int(parts[1]), [(name, value.strip()) for name, colon, value in found if colon]
