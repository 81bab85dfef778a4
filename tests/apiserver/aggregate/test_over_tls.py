"""Aggregated API servers over TLS: whose certificate is taken, and connections that leave HTTP."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.web_request import BaseRequest
from multidict import CIMultiDict
from tests.security import servers as machines

from trireme.api.apiregistration.v1.apiservice import APIService, APIServiceSpec, ServiceReference
from trireme.apiserver.outgoing import Outgoing
from trireme.apiserver.remote.servers import Address, Servers, Unreachable
from trireme.apiserver.request import User
from trireme.apiserver.settings.aggregator import AggregatorSettings
from trireme.kit import pki, tls
from trireme.kit.env import Env
from trireme.testing import control_plane

CLIENTS = pki.new_authority("front-proxy-ca", machines.NOW)
CLIENT = pki.issue(CLIENTS, "front-proxy-client", machines.NOW)
AUTHORITY = machines.AUTHORITY
ASKED = User("system:kube-aggregator")


def certificate(*names: str) -> pki.Pair:
    return pki.issue(AUTHORITY, "metrics", machines.NOW, names=names, server=True)


def service(**spec: Any) -> APIService:
    reference = ServiceReference("default", "metrics", 443)
    return APIService(spec=APIServiceSpec(service=reference, **spec))


@asynccontextmanager
async def ways() -> AsyncIterator[Servers]:
    """The API server's connections, also to loopback."""
    env = Env()
    settings = AggregatorSettings(client=CLIENT, transport=Outgoing())
    async with control_plane.api_server(env, aggregator=settings) as server:
        yield server.context.servers


async def fetched(servers: Servers, obj: APIService, port: int, limit: int = 1000) -> bytes:
    address = Address("127.0.0.1", port)
    return (await servers.fetch(obj, address, "/apis", ASKED, limit, 5.0)).body


async def test_the_certificate_is_that_of_the_service() -> None:
    right, wrong = certificate("metrics.default.svc"), certificate("other.default.svc")
    bundle = AUTHORITY.certificate
    async with ways() as servers:
        async with machines.server(pair=right, clients=CLIENTS) as seen:
            assert await fetched(servers, service(caBundle=bundle), seen.port) == b"served"
            with pytest.raises(Unreachable, match="failed to verify certificate"):
                await fetched(servers, service(caBundle=CLIENTS.certificate), seen.port)
        async with machines.server(pair=wrong, clients=CLIENTS) as seen:
            with pytest.raises(Unreachable, match="failed to verify certificate"):
                await fetched(servers, service(caBundle=bundle), seen.port)
            trusting = service(insecureSkipTLSVerify=True)
            assert await fetched(servers, trusting, seen.port) == b"served"
            with pytest.raises(Unreachable, match="more than 3 bytes"):
                await fetched(servers, trusting, seen.port, limit=3)


async def test_the_server_sees_the_front_proxys_certificate() -> None:
    found: list[bytes | None] = []

    async def answer(request: BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        connection: ssl.SSLObject = request.transport.get_extra_info("ssl_object")
        found.append(connection.getpeercert(binary_form=True))
        return web.Response(text="served")

    pair = certificate("metrics.default.svc")
    async with ways() as servers, machines.server(answer, pair, CLIENTS) as seen:
        await fetched(servers, service(caBundle=AUTHORITY.certificate), seen.port)
    assert found == [ssl.PEM_cert_to_DER_cert(CLIENT.certificate.decode())]


async def test_a_connection_leaves_http() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"Upgrade: echo\r\n" not in head:
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno")
        else:
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\n")
            while data := await reader.read(100):
                writer.write(data.upper())
        writer.close()

    obj = service(caBundle=AUTHORITY.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_pair(context, certificate("metrics.default.svc"))
    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with ways() as servers, listener, asyncio.timeout(10):
        address = Address(*listener.sockets[0].getsockname())
        asked = CIMultiDict({"Connection": "Upgrade", "Upgrade": "echo", "Content-Length": "0"})
        made = await servers.upgrade(obj, address, "GET", "/x?y=1", asked)
        assert made.status == 101 and ("Upgrade", "echo") in made.head
        made.writer.write(b"abc")
        assert await made.reader.readexactly(3) == b"ABC"
        made.writer.close()
        asked["Upgrade"] = "other"
        refused = await servers.upgrade(obj, address, "GET", "/x", asked)
        assert refused.status == 400
        refused.writer.close()
        with pytest.raises(Unreachable, match="connection refused"):
            await servers.upgrade(obj, Address("127.0.0.1", 1), "GET", "/x", asked)


async def test_no_address_of_the_host_itself_is_dialled() -> None:
    settings = AggregatorSettings(client=CLIENT)
    async with control_plane.api_server(Env(), aggregator=settings) as server:
        with pytest.raises(Unreachable, match="address not allowed"):
            await fetched(server.context.servers, service(insecureSkipTLSVerify=True), 443)
