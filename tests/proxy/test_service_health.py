"""The health of Services with the traffic policy Local, as load balancers ask for it."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import aiohttp
from tests.proxy.test_proxy_plan import endpoint, service, slice_

from trireme.kit.env import Env
from trireme.proxy.health import Health
from trireme.proxy.model import Key, Model, ServicePort
from trireme.proxy.service_health import ServiceHealth


def free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ports(port: int, *addresses: str, **spec: Any) -> dict[Key, tuple[ServicePort, ...]]:
    model = Model("node-0")
    fields = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"} | spec
    model.set_service(service(healthCheckNodePort=port, **fields))
    model.set_slice(slice_(*(endpoint(*text.split("@")) for text in addresses)))
    model.update()
    return model.all()


async def ask(port: int) -> tuple[int, str, Any]:
    url = f"http://127.0.0.1:{port}/"
    async with aiohttp.ClientSession() as session, session.get(url) as got:
        weight = got.headers["X-Load-Balancing-Endpoint-Weight"]
        return got.status, weight, await got.json()


async def test_a_node_is_healthy_where_there_are_endpoints():
    env, port, other = Env(), free_port(), free_port()
    health = Health(env.clock)
    health.done()
    async with ServiceHealth(("127.0.0.1",), health, env) as served:
        await served.update(ports(port, "10.244.1.1@node-1"))
        status, weight, body = await ask(port)
        assert (status, weight) == (503, "0")
        assert body == {
            "service": {"namespace": "shop", "name": "web"},
            "localEndpoints": 0,
            "serviceProxyHealthy": True,
        }
        await served.update(ports(port, "10.244.0.1", "10.244.0.2", "10.244.1.1@node-1"))
        status, weight, body = await ask(port)
        assert (status, weight, body["localEndpoints"]) == (200, "2", 2)
        await served.update(ports(other, "10.244.0.1"))
        assert (await ask(other))[0] == 200
        assert not listens(port)
        await served.update(ports(other, "10.244.0.1", externalTrafficPolicy="Cluster"))
        assert not listens(other)
        await served.update(ports(other, "10.244.0.1"))
        await served.update({})
        assert not listens(other)
        await served.update(ports(port, "10.244.0.1"))
    assert not listens(port)


async def test_a_port_in_use_is_tried_again():
    env, port = Env(), free_port()
    health = Health(env.clock)
    with contextlib.closing(socket.create_server(("127.0.0.1", port))):
        async with ServiceHealth(("127.0.0.1",), health, env) as served:
            await served.update(ports(port, "10.244.0.1"))
    async with ServiceHealth(("127.0.0.1",), health, env) as served:
        await served.update(ports(port, "10.244.0.1"))
        assert (await ask(port))[0] == 200


def listens(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
