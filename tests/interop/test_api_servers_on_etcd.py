"""Two of our API servers on one etcd: whatever one has answered, the other knows."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.etcd import Etcd
from tests.interop import conftest

pytestmark = pytest.mark.interop

MAPS = "/api/v1/namespaces/default/configmaps"
SERVICES = "/api/v1/namespaces/default/services"


class Server:
    def __init__(self, subject: Any, session: aiohttp.ClientSession) -> None:
        self.subject = subject
        self.session = session

    async def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self.session.request(method, path, json=body) as answer:
            return answer.status, json.loads(await answer.read())

    async def watch(self, path: str, version: str) -> AsyncIterator[tuple[str, str, int]]:
        """Type, name and version of each event, until the stream breaks."""
        query = f"{path}?watch=1&resourceVersion={version}"
        try:
            async with self.session.get(query, timeout=aiohttp.ClientTimeout()) as answer:
                assert answer.status == 200, await answer.text()
                async for line in answer.content:
                    event = json.loads(line)
                    assert event["type"] != "ERROR", event
                    meta = event["object"]["metadata"]
                    yield event["type"], meta["name"], int(meta["resourceVersion"])
        except aiohttp.ClientError:
            return


@asynccontextmanager
async def servers() -> AsyncIterator[list[Server]]:
    subjects: Any = conftest._subjects()
    with ExitStack() as processes:
        etcd = processes.enter_context(Etcd())
        async with AsyncExitStack() as stack:
            made = []
            for _ in range(2):
                started = subjects.trireme(f"etcd-servers={etcd.urls[0]}")
                subject = processes.enter_context(started)
                session = await stack.enter_async_context(
                    aiohttp.ClientSession(
                        subject.url,
                        headers={"Authorization": f"Bearer {subjects.TOKEN}"},
                        connector=aiohttp.TCPConnector(ssl=subject.context(), limit=0),
                    )
                )
                made.append(Server(subject, session))
            yield made


def config(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def test_what_one_server_has_answered_the_other_knows():
    async with servers() as (one, other):
        for number in range(30):
            name = f"m{number}"
            status, made = await one("POST", MAPS, config(name))
            assert status == 201
            assert await other("GET", f"{MAPS}/{name}") == (200, made)
            made["data"] = {"a": "1"}
            status, updated = await other("PUT", f"{MAPS}/{name}", made)
            assert status == 200, updated
            _, listed = await one("GET", MAPS)
            assert updated["data"] in [item.get("data") for item in listed["items"]]
            status, _ = await one("PUT", f"{MAPS}/{name}", updated | {"data": {"a": "2"}})
            assert status == 200
            status, _ = await other("DELETE", f"{MAPS}/{name}")
            assert status == 200
            status, _ = await one("GET", f"{MAPS}/{name}")
            assert status == 404


async def test_what_is_needed_for_a_creation_may_be_of_the_other_server():
    async with servers() as (one, other):
        for number in range(10):
            namespace = {"metadata": {"name": f"ns{number}"}}
            assert (await one("POST", "/api/v1/namespaces", namespace))[0] == 201
            path = f"/api/v1/namespaces/ns{number}/configmaps"
            assert (await other("POST", path, config("a")))[0] == 201
        definition = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "boats.example.com"},
            "spec": {
                "group": "example.com",
                "scope": "Cluster",
                "names": {"plural": "boats", "kind": "Boat"},
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": {"type": "object"}},
                    }
                ],
            },
        }
        root = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        await one("POST", root, definition)
        established = False
        async with asyncio.timeout(20):
            while not established:
                _, found = await one("GET", f"{root}/boats.example.com")
                conditions = found.get("status", {}).get("conditions", [])
                established = any(
                    item["type"] == "Established" and item["status"] == "True"
                    for item in conditions
                )
        boat = {"apiVersion": "example.com/v1", "kind": "Boat", "metadata": {"name": "argo"}}
        assert (await other("POST", "/apis/example.com/v1/boats", boat))[0] == 201


async def test_both_serve_the_same_lists_and_watches():
    async with servers() as both:
        _, listed = await both[0]("GET", MAPS)
        version = listed["metadata"]["resourceVersion"]
        seen: list[list[tuple[str, str, int]]] = [[], []]

        async def follow(at: int) -> None:
            async for event in both[at].watch(MAPS, version):
                seen[at].append(event)
                if event[1] == "last":
                    return

        async def write(at: int, worker: int) -> None:
            server = both[at]
            for number in range(20):
                name = f"m{number % 5}-{worker % 2}"
                await server("POST", MAPS, config(name))
                await server("PUT", f"{MAPS}/{name}", config(name, of=str(at), n=str(number)))
                if number % 3 == 0:
                    await server("DELETE", f"{MAPS}/{name}")

        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            watchers = [group.create_task(follow(at)) for at in (0, 1)]
            writers = [group.create_task(write(at, worker)) for at in (0, 1) for worker in range(4)]
            await asyncio.wait(writers)
            assert (await both[0]("POST", MAPS, config("last")))[0] == 201
            await asyncio.wait(watchers)
        assert len(seen[0]) > 60
        assert seen[0] == seen[1]
        assert [event[2] for event in seen[0]] == sorted({event[2] for event in seen[0]})
        # The oldest first: the younger has to be as new as that.
        lists = [await server("GET", MAPS) for server in both]
        assert lists[0] == lists[1]


async def test_ports_addresses_and_quotas_are_given_out_once():
    async with servers() as both:

        async def create(at: int, number: int) -> Any:
            body = {
                "metadata": {"name": f"s{at}-{number}"},
                "spec": {
                    "type": "NodePort",
                    "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}],
                },
            }
            status, made = await both[at]("POST", SERVICES, body)
            assert status == 201, json.dumps(made)
            return made

        made = await asyncio.gather(*(create(at, n) for at in (0, 1) for n in range(15)))
        ports = [port["nodePort"] for item in made for port in item["spec"]["ports"]]
        assert len(set(ports)) == len(ports) == 60
        assert len({item["spec"]["clusterIP"] for item in made}) == 30
        quota = {"metadata": {"name": "q"}, "spec": {"hard": {"count/configmaps": "7"}}}
        assert (await both[0]("POST", "/api/v1/namespaces/default/resourcequotas", quota))[0] == 201
        # A quota counts once its controller has written a status.
        status = {
            "metadata": {"name": "q"},
            "status": {"hard": {"count/configmaps": "7"}, "used": {"count/configmaps": "0"}},
        }
        path = "/api/v1/namespaces/default/resourcequotas/q/status"
        assert (await both[1]("PUT", path, status))[0] == 200
        answers = await asyncio.gather(
            *(both[at]("POST", MAPS, config(f"c{at}-{n}")) for at in (0, 1) for n in range(10))
        )
        assert sorted(code for code, _ in answers).count(201) <= 7
        _, listed = await both[0]("GET", MAPS)
        assert len(listed["items"]) <= 7


async def test_a_server_is_killed_in_mid_stream():
    """Its watchers go on at the other one, from their last event."""
    async with servers() as (one, other):
        _, listed = await one("GET", MAPS)
        version, seen = listed["metadata"]["resourceVersion"], []
        stop = asyncio.Event()

        async def write() -> None:
            number = 0
            while not stop.is_set():
                assert (await other("POST", MAPS, config(f"m{number}")))[0] == 201
                number += 1
            assert (await other("POST", MAPS, config("last")))[0] == 201

        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            writer = group.create_task(write())
            async for event in one.watch(MAPS, version):
                seen.append(event)
                if len(seen) == 40:
                    os.kill(one.subject.processes["API server"], signal.SIGKILL)
            assert len(seen) >= 40
            async for event in other.watch(MAPS, str(seen[-1][2])):
                seen.append(event)
                if len(seen) > 80:
                    stop.set()
                if event[1] == "last":
                    break
            await writer
        names = [name for _, name, _ in seen]
        assert names == [*(f"m{n}" for n in range(len(names) - 1)), "last"]


async def test_long_requests_are_answered_by_processes_of_their_own():
    """Which are forked while gRPC's threads work."""
    async with servers() as (one, other):

        async def patch(server: Server, number: int) -> None:
            name = f"large-{number}"
            large = {f"k{item}": "v" * 30 for item in range(15_000)}
            status, made = await server("POST", MAPS, config(name, **large))
            assert status == 201, made
            made["data"] = {key: "w" * 30 for key in large}
            status, answer = await server("PUT", f"{MAPS}/{name}", made)
            assert status == 200, answer
            assert (await other("GET", f"{MAPS}/{name}"))[1]["data"] == made["data"]

        for number in range(8):
            await patch(one, number)
