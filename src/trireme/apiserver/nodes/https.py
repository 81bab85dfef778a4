"""Kubelets over HTTPS, with the API server's client certificate.

Connections for plain requests are pooled; an upgraded one is made for itself alone.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from trireme.api.core.v1.node import Node
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.config import KubeletAccess
from trireme.apiserver.nodes.contract import NodeAnswer, RawStream
from trireme.machinery import errors

ADDRESS_TYPES = ("InternalIP", "ExternalIP", "Hostname", "InternalDNS", "ExternalDNS")
DEFAULT_PORT = 10250
CONNECT_TIMEOUT = 5.0


class HttpsKubelets:
    """The kubelets that nodes register. Made at the first use, inside the running loop."""

    def __init__(self, access: KubeletAccess | None, reader: Reader) -> None:
        self._context = None if access is None else _client_context(access)
        self._reader = reader
        self._session: aiohttp.ClientSession | None = None
        self._plain: aiohttp.ClientSession | None = None

    async def request(self, node: str, method: str, path: str, query: str) -> NodeAnswer:
        host, port = self._address(node)
        if self._session is None:
            self._session = _session(ssl=self._context)
        url = f"https://{_bracketed(host)}:{port}{path}" + (f"?{query}" if query else "")
        try:
            response = await self._session.request(method, aiohttp.client.URL(url, encoded=True))
        except (aiohttp.ClientError, OSError, TimeoutError) as problem:
            raise _unreachable(node, path, problem) from None
        return NodeAnswer(response.status, response.content_type, _chunks(response))

    async def fetch(
        self, method: str, url: str, headers: dict[str, str], body: bytes
    ) -> NodeAnswer:
        if self._plain is None:
            # What pods serve over TLS is nobody's to check: their certificates are their own.
            self._plain = _session(ssl=False)
        target = aiohttp.client.URL(url, encoded=True)
        try:
            response = await self._plain.request(
                method, target, headers=headers, data=body or None, allow_redirects=False
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as problem:
            raise errors.service_unavailable(f"error trying to reach service: {problem}") from None
        answered = dict(response.headers)
        return NodeAnswer(response.status, response.content_type, _chunks(response), answered)

    async def upgrade(
        self, node: str, path: str, query: str, protocol: str, headers: dict[str, str]
    ) -> tuple[RawStream, dict[str, str]]:
        host, port = self._address(node)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                reader, writer = await asyncio.open_connection(host, port, ssl=self._context)
        except (OSError, TimeoutError) as problem:
            raise _unreachable(node, path, problem) from None
        lines = [
            f"POST {path}?{query} HTTP/1.1",
            f"Host: {_bracketed(host)}:{port}",
            "Connection: Upgrade",
            f"Upgrade: {protocol}",
            "Content-Length: 0",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        stream = _Stream(reader, writer)
        try:
            await stream.write("\r\n".join([*lines, "", ""]).encode())
            head = await reader.readuntil(b"\r\n\r\n")
            status, answer = _parse_head(head)
            if status != 101:
                length = int(answer.get("content-length", "0"))
                body = await reader.readexactly(length) if length else b""
                raise _refused(status, body)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as problem:
            stream.close()
            raise _unreachable(node, path, problem) from None
        except BaseException:
            stream.close()
            raise
        return stream, answer

    async def close(self) -> None:
        for session in (self._session, self._plain):
            if session is not None:
                await session.close()

    def _address(self, name: str) -> tuple[str, int]:
        if self._context is None:
            raise errors.service_unavailable("this API server has no certificate for kubelets")
        node = self._reader.get(Node, "", name)
        if node is None:
            raise errors.not_found("nodes", name)
        port = DEFAULT_PORT
        endpoints = node.status.daemonEndpoints
        if endpoints is not None and endpoints.kubeletEndpoint is not None:
            port = endpoints.kubeletEndpoint.Port or port
        for wanted in ADDRESS_TYPES:
            for address in node.status.addresses:
                if address.type == wanted and address.address:
                    return address.address, port
        raise errors.service_unavailable(f"no preferred addresses found for node {name}")


def _session(ssl: Any) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=ssl, limit=0),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
        auto_decompress=False,
    )


class _Stream:
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


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    finally:
        response.close()


def _client_context(access: KubeletAccess) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Kubelets are known by their authority; their names are the nodes', not their addresses.
    context.check_hostname = False
    context.load_verify_locations(cadata=access.authority.decode())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pair.pem"
        path.touch(0o600)
        path.write_bytes(access.client.key + access.client.certificate)
        context.load_cert_chain(path)
    return context


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


def _refused(status: int, body: bytes) -> errors.ApiError:
    text = body.decode(errors="replace").strip() or f"the kubelet answered {status}"
    if status == 404:
        return errors.ApiError(404, errors.NOT_FOUND, text)
    if status in (400, 403):
        reason = errors.BAD_REQUEST if status == 400 else errors.FORBIDDEN
        return errors.ApiError(status, reason, text)
    return errors.internal_error(text)


def _unreachable(node: str, path: str, problem: BaseException) -> errors.ApiError:
    return errors.ApiError(
        502, errors.UNKNOWN, f"the kubelet of node {node} cannot be reached ({path}): {problem!r}"
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
