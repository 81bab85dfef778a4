"""What a client does not read holds little: lists and watches are sent from the stored bytes.

Of a list of 10 MB each reader, however slow, has its own only the piece that is on its way; all
else is the store's, whose bytes everybody shares.
"""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest

from tests.apiserver.conftest import ADMIN
from trireme.apiserver import chain, serve
from trireme.apiserver.reply.reply import Reply, StreamReply
from trireme.apiserver.request import Request
from trireme.apiserver.server import ApiServer
from trireme.apiserver.verbs import watch
from trireme.kit.env import Env
from trireme.store import history
from trireme.store.contract import SubscriptionClosed, Value
from trireme.store.memory import MemoryStore
from trireme.testing import control_plane

MAPS = "/api/v1/namespaces/default/configmaps"
COUNT, SIZE = 200, 50_000
READERS = 10


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with control_plane.api_server(Env()) as made:
        for number in range(COUNT):
            body = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": f"m-{number:03}"},
                "data": {"k": "x" * SIZE},
            }
            answer = await chain.handle(
                made, Request("POST", MAPS, "", {}, json.dumps(body).encode(), user=ADMIN)
            )
            assert isinstance(answer, Reply) and answer.status == 201
        yield made


@contextmanager
def held(most: int) -> Iterator[None]:
    """What is done inside leaves no more than so many bytes for each reader."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        yield
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / READERS < most


async def asked(server: ApiServer, query: str = "", accept: str = "") -> Reply | StreamReply:
    answer = await chain.handle(server, Request("GET", MAPS, query, {"accept": accept}, user=ADMIN))
    assert isinstance(answer, Reply | StreamReply)
    return answer


async def test_a_watchers_first_events(server: ApiServer) -> None:
    streams = []
    with held(watch.CHUNK + 2 * SIZE):
        for _ in range(READERS):
            stream = await asked(server, "watch=1")
            assert isinstance(stream, StreamReply)
            first = await anext(stream.chunks)
            assert len(first) < watch.CHUNK + 2 * SIZE
            streams.append((stream, first))
    for stream, first in streams[:1]:
        text = bytes(first)
        while text.count(b"\n") < COUNT:
            text += await anext(stream.chunks)
        events = [json.loads(line) for line in text.splitlines()]
        assert [event["type"] for event in events] == ["ADDED"] * COUNT
    for stream, _ in streams:
        await stream.chunks.aclose()


async def test_after_the_first_events_come_the_others(server: ApiServer) -> None:
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    stream = await asked(server, f"{query}&allowWatchBookmarks=true")
    assert isinstance(stream, StreamReply)
    text = b""
    while text.count(b"\n") < COUNT + 1:
        text += await anext(stream.chunks)
    assert json.loads(text.splitlines()[-1])["type"] == "BOOKMARK"
    await chain.handle(server, Request("DELETE", f"{MAPS}/m-000", user=ADMIN))
    assert json.loads(await anext(stream.chunks))["type"] == "DELETED"
    await stream.chunks.aclose()


@pytest.mark.parametrize("accept", ["", "application/vnd.kubernetes.protobuf"])
async def test_a_list(server: ApiServer, accept: str) -> None:
    # Once before: the protobuf messages are kept for all.
    await asked(server, accept=accept)
    readers = []
    with held(2 * serve.PIECE + SIZE):
        for _ in range(READERS):
            answer = await asked(server, accept=accept)
            assert isinstance(answer, Reply)
            pieces = answer.pieces(serve.PIECE)
            readers.append((answer, pieces, next(pieces)))
    answer, rest, first = readers[0]
    sizes = [len(first), *map(len, rest)]
    assert sum(sizes) == answer.length
    assert max(sizes) <= 2 * serve.PIECE
    assert answer.length > COUNT * SIZE


async def test_events_that_wait_for_a_slow_watcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "BUFFER_BYTES", 1_000_000)
    async with MemoryStore() as store:
        watcher, other = (store.watch("/a/", store.revision) for _ in range(2))
        large = Value(b"x" * 400_000, b"")
        await store.create("/a/b", large)
        assert len(watcher.take()) == 1
        for _ in range(3):
            await store.update("/a/b", large)
            assert len(other.take()) in (1, 2)
        with pytest.raises(SubscriptionClosed, match="slow"):
            await watcher.next()
        # A single event may be larger than that.
        await store.update("/a/b", Value(b"x" * 3_000_000, b""))
        assert len(other.take()) == 1
