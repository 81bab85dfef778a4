"""Node ports are one object that several API servers change, and it is put right."""

from __future__ import annotations

import asyncio
import base64
import random
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.apiserver.test_reading import Api

from trireme.apiserver.allocators.ports import KEY, Ports
from trireme.apiserver.bootstrap import plan_ports
from trireme.apiserver.bootstrap.ports import INTERVAL, PortRepair
from trireme.store.memory import MemoryStore
from trireme.testing import control_plane

SERVICES = "/api/v1/namespaces/default/services"


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"type": "NodePort", "ports": [{"port": 80}], **spec},
    }


def stored(store: Any) -> tuple[str, set[int]]:
    """The range and the ports that are taken, as upstream reads them."""
    obj = msgspec.json.decode(store.get(KEY).value)
    bits = int.from_bytes(base64.b64decode(obj["data"]), "big")
    low = int(obj["range"].split("-")[0])
    return obj["range"], {low + at for at in range(bits.bit_length()) if bits >> at & 1}


async def test_the_object_has_the_ports_of_services():
    async with control_plane.api_server() as server:
        ask, store = Api(server), server.context.store
        _, made = await ask("POST", SERVICES, service("a", ports=[{"port": 80, "nodePort": 30000}]))
        assert stored(store) == ("30000-32767", {30000})
        _, other = await ask("POST", SERVICES, service("b"))
        port = other["spec"]["ports"][0]["nodePort"]
        assert stored(store)[1] == {30000, port}
        status, _ = await ask("POST", SERVICES + "?dryRun=All", service("c"))
        assert (status, stored(store)[1]) == (201, {30000, port})
        made["spec"]["type"] = "ClusterIP"
        del made["spec"]["ports"][0]["nodePort"]
        await ask("PUT", f"{SERVICES}/a", made)
        assert stored(store)[1] == {port}
        await ask("DELETE", f"{SERVICES}/b")
        assert stored(store)[1] == set()
        status, _ = await ask("POST", SERVICES, service("a b"))
        assert (status, stored(store)[1]) == (422, set())


async def test_servers_do_not_give_out_a_port_twice():
    """Each with its own view of the store, as two processes have it."""
    async with MemoryStore() as store:
        servers = [Ports(30000, 30031, store) for _ in range(3)]
        rng, given_out = random.Random(1), []

        async def take(ports: Ports) -> None:
            chosen = 0

            def change(pool: Any) -> bool:
                nonlocal chosen
                chosen = pool.free(rng)
                pool.take(chosen)
                return True

            await ports.change(change)
            given_out.append(chosen)

        await asyncio.gather(*(take(servers[n % 3]) for n in range(30)))
        assert sorted(given_out) == sorted(set(given_out))
        await servers[0].release(given_out[:10])
        assert stored(store)[1] == set(given_out[10:])


async def test_a_store_without_the_object_gets_it_and_a_leak_is_freed():
    async with control_plane.api_server() as server:
        ask, context = Api(server), server.context
        await ask("POST", SERVICES, service("a", ports=[{"port": 80, "nodePort": 31000}]))
        await context.store.delete(KEY)
        repair = PortRepair(context)
        await repair.repair()
        assert stored(context.store)[1] == {31000}

        def leak(pool: Any) -> bool:
            pool.take(32000)
            return True

        await context.ports.change(leak)
        looks = 0
        while 32000 in stored(context.store)[1]:
            repair._due -= INTERVAL
            await repair.repair()
            looks += 1
        assert looks == plan_ports.LOOKS + 1
        assert stored(context.store)[1] == {31000}


PORTS = st.integers(29_998, 30_012)


@given(
    st.dictionaries(st.text(max_size=2), st.lists(PORTS, max_size=3), max_size=4),
    st.frozensets(PORTS, max_size=6),
)
def test_every_port_in_range_of_a_service_is_taken(services, taken):
    plan = plan_ports.plan(services.items(), taken, 30_000, 30_010, {})
    held = {port for ports in services.values() for port in ports if 30_000 <= port <= 30_010}
    assert held <= plan.taken
    assert (
        plan.taken - held
        == plan.left.keys()
        == {port for port in taken - held if 30_000 <= port <= 30_010}
    )
