"""Many watchers, slow ones and dead ones: memory is bounded, and nobody waits for another.

In process; what comes through sockets is in ``test_bad_clients``.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.apiserver.conftest import ADMIN, Asker
from trireme.apiserver import chain
from trireme.apiserver.reply.reply import StreamReply
from trireme.apiserver.request import Request
from trireme.apiserver.server import ApiServer
from trireme.store.memory import MemoryStore
from trireme.testing import control_plane

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
MANY = 10_000


def config_map(name: str, **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "labels": labels}
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata}


@pytest.fixture
async def ask() -> AsyncIterator[Asker]:
    async with control_plane.api_server() as server:
        yield Asker(server, ADMIN)


async def watch(server: ApiServer, path: str, query: str = "") -> StreamReply:
    """A watch from now on."""
    now = f"watch=1&resourceVersion={server.context.store.revision}"
    answer = await chain.handle(server, Request("GET", path, f"{now}&{query}", user=ADMIN))
    assert isinstance(answer, StreamReply), answer
    return answer


def events(chunk: bytes) -> list[tuple[str, str]]:
    got = [json.loads(line) for line in chunk.splitlines()]
    return [(one["type"], one["object"]["metadata"]["name"]) for one in got]


async def leave(*watching: StreamReply) -> None:
    for one in watching:
        await one.chunks.aclose()


async def test_ten_thousand_watchers_get_every_event(ask: Asker) -> None:
    watching = [await watch(ask.server, MAPS) for _ in range(MANY)]
    waiting = [asyncio.ensure_future(anext(one.chunks)) for one in watching]
    await asyncio.sleep(0)
    began = time.perf_counter()
    await ask.must("POST", MAPS, config_map("a"))
    chunks = await asyncio.gather(*waiting)
    assert time.perf_counter() - began < 10
    assert {chunk for chunk in chunks} == {chunks[0]}
    assert events(chunks[0]) == [("ADDED", "a")]
    await leave(*watching)


async def test_watchers_of_something_else_are_not_woken(ask: Asker) -> None:
    others = []
    for number in range(1_000):
        others.append(await watch(ask.server, MAPS, f"labelSelector=app%3Dother-{number}"))
        others.append(await watch(ask.server, MAPS, f"fieldSelector=metadata.name%3Dn-{number}"))
        others.append(await watch(ask.server, MAPS, "labelSelector=%21app"))
    mine = await watch(ask.server, MAPS, "labelSelector=app%3Dmine")
    waiting = [asyncio.ensure_future(anext(one.chunks)) for one in others]
    await asyncio.sleep(0)
    for number in range(20):
        await ask.must("POST", MAPS, config_map(f"a-{number}", app="mine"))
    received: list[tuple[str, str]] = []
    while len(received) < 20:
        received += events(await anext(mine.chunks))
    assert received == [("ADDED", f"a-{number}") for number in range(20)]
    assert not any(one.done() for one in waiting)
    subscriptions = [one.chunks._subscription for one in others]  # type: ignore[attr-defined]
    assert all(not one.take() for one in subscriptions)
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await leave(mine, *others)


async def test_an_object_that_enters_and_leaves_a_selection(ask: Asker) -> None:
    by_label = await watch(ask.server, MAPS, "labelSelector=app%3Dweb,tier")
    by_name = await watch(ask.server, MAPS, "fieldSelector=metadata.name%3Da")
    by_absence = await watch(ask.server, MAPS, "labelSelector=%21app")
    await ask.must("POST", MAPS, config_map("a", app="web"))
    for labels in ({"app": "web", "tier": "x"}, {"app": "db", "tier": "x"}, {}):
        await ask.must("PUT", f"{MAPS}/a", config_map("a", **labels))
    await ask.must("POST", MAPS, config_map("ab", app="db"))
    await ask.must("DELETE", f"{MAPS}/a")
    assert events(await anext(by_label.chunks)) == [("ADDED", "a"), ("DELETED", "a")]
    assert events(await anext(by_name.chunks)) == [
        ("ADDED", "a"), ("MODIFIED", "a"), ("MODIFIED", "a"), ("MODIFIED", "a"), ("DELETED", "a"),
    ]  # fmt: skip
    assert events(await anext(by_absence.chunks)) == [("ADDED", "a"), ("DELETED", "a")]
    await leave(by_label, by_name, by_absence)


async def test_a_pod_that_gets_its_node(ask: Asker) -> None:
    here = await watch(ask.server, "/api/v1/pods", "fieldSelector=spec.nodeName%3Dn1")
    spec = {"containers": [{"name": "a", "image": "i"}]}
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p"}, "spec": spec}
    await ask.must("POST", PODS, pod)
    binding = {"kind": "Binding", "apiVersion": "v1", "metadata": {"name": "p"},
               "target": {"kind": "Node", "name": "n1"}}  # fmt: skip
    await ask.must("POST", f"{PODS}/p/binding", binding)
    assert events(await anext(here.chunks)) == [("ADDED", "p")]
    await leave(here)


async def test_a_stream_that_nobody_began_to_read(ask: Asker) -> None:
    answer = await watch(ask.server, MAPS)
    subscription = answer.chunks._subscription  # type: ignore[attr-defined]
    await leave(answer)
    await ask.must("POST", MAPS, config_map("a"))
    assert subscription._closed == "closed" and not subscription._events


async def test_what_has_been_deleted_is_not_remembered(ask: Asker) -> None:
    """Watchers read deleted objects late: nothing of them may stay."""
    mine = await watch(ask.server, MAPS, "labelSelector=app")
    before = len(ask.server.context.views._views)
    for number in range(2_000):
        await ask.must("POST", MAPS, config_map(f"a-{number}", app="x"))
        await ask.must("DELETE", f"{MAPS}/a-{number}")
        if number % 100 == 99:
            await anext(mine.chunks)
    assert len(ask.server.context.views._views) == before
    assert len(ask.server.context.views._changes) <= 1024
    await leave(mine)


async def test_a_reader_that_is_far_behind_is_let_go(ask: Asker) -> None:
    """After 10,000 events that it has not fetched its stream ends, and what it held is free; it
    resumes from what it has seen, or is told that this is too old."""
    async with control_plane.api_server(store=MemoryStore(history=12_000)) as server:
        ask = Asker(server, ADMIN)
        slow = await watch(server, MAPS)
        received = server.context.store.revision
        await ask.must("POST", MAPS, config_map("a"))
        for number in range(10_100):
            patch = {"data": {"n": str(number)}}
            status, _ = await ask("PATCH", f"{MAPS}/a", patch,
                                  {"content-type": "application/merge-patch+json"})  # fmt: skip
            assert status == 200
        subscription = slow.chunks._subscription  # type: ignore[attr-defined]
        assert (subscription._closed, subscription._events) == ("slow", [])
        with pytest.raises(StopAsyncIteration):
            await anext(slow.chunks)
        again = await chain.handle(
            server, Request("GET", MAPS, f"watch=1&resourceVersion={received}", user=ADMIN)
        )
        assert isinstance(again, StreamReply)
        assert events(await anext(again.chunks))[0] == ("ADDED", "a")
        await leave(again)
        await server.context.store.compact(server.context.store.revision)
        late = await chain.handle(
            server, Request("GET", MAPS, f"watch=1&resourceVersion={received}", user=ADMIN)
        )
        assert isinstance(late, StreamReply)
        got = json.loads(await anext(late.chunks))
        assert (got["type"], got["object"]["code"], got["object"]["reason"]) == (
            "ERROR", 410, "Expired",
        )  # fmt: skip
        await leave(late)
