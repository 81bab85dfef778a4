"""Kubelets over HTTPS, with the API server's client certificate; pods and their like as they serve.

Connections for plain requests are pooled; an upgraded one is made for itself alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, MutableMapping

from multidict import CIMultiDict
from yarl import URL

from trireme.api.core.v1.node_types import Node
from trireme.apiserver import outgoing
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.nodes.contract import EXPLANATION, KubeletAccess, NodeAnswer, RawStream
from trireme.apiserver.nodes.verify import NodeContexts
from trireme.apiserver.outgoing import Outgoing
from trireme.machinery import errors

ADDRESS_TYPES = ("InternalIP", "ExternalIP", "Hostname", "InternalDNS", "ExternalDNS")
DEFAULT_PORT = 10250
EXPLANATION_TIMEOUT = 10.0


class HttpsKubelets:
    """The kubelets that nodes register."""

    def __init__(self, access: KubeletAccess | None, reader: Reader) -> None:
        self._contexts = None if access is None else NodeContexts(access)
        self._reader = reader
        self._own = Outgoing()
        # What clients have passed on must not reach what only the API server's host can.
        self._passed_on = Outgoing(filtered=True)

    def address(self, node: str) -> tuple[str, int]:
        found = self._reader.get(Node, "", node)
        if found is None:
            raise errors.not_found("nodes", node)
        port = DEFAULT_PORT
        endpoints = found.status.daemonEndpoints
        if endpoints is not None and endpoints.kubeletEndpoint is not None:
            port = endpoints.kubeletEndpoint.Port or port
        for preferred in ADDRESS_TYPES:
            for address in found.status.addresses:
                if address.type == preferred and address.address:
                    return address.address, port
        known = " ".join(f"{{{item.type} {item.address}}}" for item in found.status.addresses)
        raise _plain(f"no preferred addresses found; known addresses: [{known}]")

    async def request(self, node: str, method: str, path: str, query: str) -> NodeAnswer:
        contexts, (host, port) = self._certified(), self.address(node)
        url = f"https://{_bracketed(host)}:{port}{path}" + (f"?{query}" if query else "")
        try:
            response = await self._own.request(method, url, {}, tls=contexts.of(node))
        except outgoing.FAILURES as problem:
            message = outgoing.explain(problem, host, port)
            raise _plain(f'{method.title()} "{url}": {message}') from None
        if 300 <= response.status < 400:
            response.close()
            raise _plain(f'{method.title()} "{url}": redirects forbidden')
        return NodeAnswer(response.status, outgoing.chunks(response), CIMultiDict(response.headers))

    async def fetch(
        self, method: str, url: str, headers: MutableMapping[str, str], body: bytes, node: str = ""
    ) -> NodeAnswer:
        # What pods serve over TLS is nobody's to verify: their certificates are their own.
        tls = self._certified().of(node) if node else False
        target = URL(url, encoded=True)
        try:
            response = await self._passed_on.request(method, url, headers, body, tls=tls)
        except outgoing.FAILURES as problem:
            if outgoing.refuses(problem):
                raise errors.bad_request("address not allowed") from None
            message = outgoing.explain(problem, target.host or "", target.port or 0)
            raise errors.service_unavailable(f"error trying to reach service: {message}") from None
        return NodeAnswer(response.status, outgoing.chunks(response), CIMultiDict(response.headers))

    async def upgrade(
        self, node: str, path: str, query: str, protocol: str, headers: dict[str, str]
    ) -> tuple[RawStream, dict[str, str]]:
        contexts, (host, port) = self._certified(), self.address(node)
        try:
            reader, writer = await self._own.connect(host, port, contexts.of(node))
        except outgoing.FAILURES as problem:
            message = outgoing.explain(problem, host, port)
            raise _plain(f"error dialing backend: {message}") from None
        lines = [
            f"POST {path}?{query} HTTP/1.1",
            f"Host: {_bracketed(host)}:{port}",
            "Connection: Upgrade",
            f"Upgrade: {protocol}",
            "Content-Length: 0",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        stream = Stream(reader, writer)
        try:
            await stream.write("\r\n".join([*lines, "", ""]).encode())
            status, answer = _parse_head(await reader.readuntil(b"\r\n\r\n"))
            if status != 101:
                raise _refused(status, await _explanation(reader, answer))
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as problem:
            stream.close()
            raise _plain(f"error dialing backend: {problem!r}") from None
        except BaseException:
            stream.close()
            raise
        return stream, answer

    async def close(self) -> None:
        for each in (self._own, self._passed_on):
            await each.close()

    def _certified(self) -> NodeContexts:
        if self._contexts is None:
            raise errors.service_unavailable("this API server has no certificate for kubelets")
        return self._contexts


class Stream:
    """A raw connection over asyncio streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        try:
            return await self._reader.read(65536)
        except OSError:
            return b""

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def close(self) -> None:
        self._writer.close()


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ", 2)
    status = int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 502
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return status, headers


async def _explanation(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> str:
    """What a kubelet says instead of upgrading; it may say nothing, or never end."""
    length = headers.get("content-length", "")
    limit = min(int(length), EXPLANATION) if length.isdecimal() else 0
    async with asyncio.timeout(EXPLANATION_TIMEOUT):
        return (await outgoing.first(reader, limit)).decode(errors="replace").strip()


def _refused(status: int, text: str) -> errors.ApiError:
    if status < 400:
        return _plain(f"invalid upgrade response: status code {status}")
    text = text or f"the kubelet answered {status}"
    if status == 404:
        return errors.ApiError(404, errors.NOT_FOUND, text)
    if status in (400, 403):
        reason = errors.BAD_REQUEST if status == 400 else errors.FORBIDDEN
        return errors.ApiError(status, reason, text)
    return errors.internal_error(text)


def _plain(text: str) -> errors.ApiError:
    """500 without a reason, as upstream answers what has no kind of its own."""
    return errors.ApiError(500, errors.UNKNOWN, text)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
