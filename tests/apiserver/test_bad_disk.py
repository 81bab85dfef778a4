"""A disk that is full: writes are refused in words, reads go on, nothing acknowledged is lost.

On the SQLite engine, under the whole server: once with a small tmpfs (as root), once with a limit
on the size of files. What the engine promises by itself is in ``tests/store``.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import logging
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.apiserver.conftest import ADMIN, Asker
from trireme.apiserver import chain
from trireme.apiserver.reply.reply import Reply, StreamReply
from trireme.apiserver.request import Request
from trireme.apiserver.server import ApiServer
from trireme.kit.env import Env
from trireme.store.contract import Event, StoreUnavailable
from trireme.store.memory import MemoryStore
from trireme.store.sqlite import SqliteStore
from trireme.testing import control_plane, virtual

MAPS = "/api/v1/namespaces/default/configmaps"
WRITERS = 8
ROUNDS = 60
SPACE = 4 * 2**20


def config_map(name: str) -> dict[str, Any]:
    return {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": name},
        "data": {"k": "x" * 20_000},
    }


@contextmanager
def small_disk(folder: Path) -> Iterator[Callable[[], None]]:
    """A file system of little space at ``folder``; what it yields makes room."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"size={2 * SPACE}".encode()
    if libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", 0, options) != 0:
        pytest.skip(f"no tmpfs can be mounted: {os.strerror(ctypes.get_errno())}")
    try:
        filler = folder / "filler"
        filler.write_bytes(bytes(SPACE))
        yield filler.unlink
    finally:
        libc.umount2(str(folder).encode(), 2)


@contextmanager
def small_files(_folder: Path) -> Iterator[Callable[[], None]]:
    """Files that may not grow beyond a size, until what it yields is called."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def lift() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    resource.setrlimit(resource.RLIMIT_FSIZE, (SPACE, hard))
    try:
        yield lift
    finally:
        lift()


@pytest.mark.parametrize(
    ("small", "words"), [(small_disk, "disk is full"), (small_files, "disk I/O error")]
)
async def test_a_full_disk(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    small: Callable[[Path], Any],
    words: str,
) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "store.db"
    with small(tmp_path) as make_room:
        async with control_plane.api_server(
            store=SqliteStore(path), post_start_hooks=True
        ) as server:
            ask = Asker(server, ADMIN)
            watch = await chain.handle(server, Request("GET", MAPS, "watch=1", user=ADMIN))
            assert isinstance(watch, StreamReply)
            acked, refused = await _write_until_it_is_full(ask)
            for got in refused:
                assert (got["kind"], got["reason"]) == ("Status", "ServiceUnavailable")
                assert got["message"] == (
                    f"the store is not available: {path}: {got['message'].rpartition(': ')[2]}"
                )
                assert words in got["message"]
            # It is ready no longer, and alive all the same.
            status, got = await _probe(server, "/readyz")
            assert (status, "[-]etcd-readiness failed: reason withheld\n" in got) == (500, True)
            status, got = await _probe(server, "/readyz/etcd-readiness")
            assert (status, words in got) == (500, True)
            assert (await _probe(server, "/livez"))[0] == 200
            # Reads go on, and tell of what was acknowledged: no more, no less.
            assert await _names(ask) == acked
            # Compaction fails as well, or makes a little room; the server goes on either way, and a
            # write is done or refused.
            with contextlib.suppress(StoreUnavailable):
                await server.context.store.compact(server.context.store.revision)
            status, _ = await ask("PATCH", f"{MAPS}/{min(acked)}", {"data": {"k": "y" * 50_000}},
                                  {"content-type": "application/merge-patch+json"})  # fmt: skip
            assert status in (200, 503)
            _, kept = await ask("GET", f"{MAPS}/{min(acked)}")
            assert kept["data"]["k"] == ("y" * 50_000 if status == 200 else "x" * 20_000)

            make_room()
            status, got = await ask("POST", MAPS, config_map("after"))
            assert status == 201, got
            assert (await _probe(server, "/readyz"))[0] == 200
            acked.add("after")
            assert await _names(ask) == acked
            assert await _seen(watch, len(acked)) == acked
        async with control_plane.api_server(store=SqliteStore(path), default_accounts=()) as server:
            assert await _names(Asker(server, ADMIN)) == acked
    assert [record for record in caplog.records if record.exc_info] == []
    logged = [record.getMessage() for record in caplog.records if record.name == "trireme.store"]
    assert words in logged[0] and str(path) in logged[0]
    assert logged[-1] == "writes are durable again"
    # Once for each time, and not for each write.
    assert len(logged) < 10


async def _write_until_it_is_full(ask: Asker) -> tuple[set[str], list[Any]]:
    """What was acknowledged, and the other answers."""
    acked: set[str] = set()
    refused: list[Any] = []

    async def write(writer: int) -> None:
        for number in range(ROUNDS):
            name = f"w-{writer}-{number:03}"
            status, got = await ask("POST", MAPS, config_map(name))
            if status == 201:
                acked.add(name)
                continue
            assert status == 503, got
            refused.append(got)

    async with asyncio.TaskGroup() as group:
        for writer in range(WRITERS):
            group.create_task(write(writer))
    assert len(acked) > 20 and len(refused) > 20
    return acked, refused


async def _probe(server: ApiServer, path: str) -> tuple[int, str]:
    answer = await chain.handle(server, Request("GET", path, user=ADMIN))
    assert isinstance(answer, Reply)
    return answer.status, answer.body.decode()


async def _names(ask: Asker) -> set[str]:
    listed = await ask.must("GET", MAPS)
    return {item["metadata"]["name"] for item in listed["items"]} - {"kube-root-ca.crt"}


async def _seen(watch: StreamReply, count: int) -> set[str]:
    """The names that a watch has told of as added, each once."""
    received: list[str] = []
    async with asyncio.timeout(10):
        while len(received) < count:
            chunk = await anext(watch.chunks)
            for event in map(json.loads, bytes(chunk).splitlines()):
                name = event["object"]["metadata"]["name"]
                if event["type"] == "ADDED" and name != "kube-root-ca.crt":
                    received.append(name)
    await watch.chunks.aclose()
    assert len(received) == len(set(received))
    return set(received)


@virtual.test()
async def test_house_keeping_outlives_a_full_disk(env: Env) -> None:
    full = False

    def refuse(_event: Event) -> None:
        if full:
            raise OSError("no space left on device")

    store = MemoryStore(before_commit=refuse)
    async with control_plane.api_server(env, store=store, post_start_hooks=True) as server:
        ask = Asker(server, ADMIN)
        await store.delete("/registry/namespaces/kube-node-lease")
        full = True
        await env.clock.sleep(600.0)
        assert (await ask("GET", "/api/v1/namespaces/kube-node-lease"))[0] == 404
        assert (await ask("POST", MAPS, config_map("a")))[0] == 503
        full = False
        await env.clock.sleep(60.0)
        assert (await ask("GET", "/api/v1/namespaces/kube-node-lease"))[0] == 200
        assert (await ask("POST", MAPS, config_map("a")))[0] == 201
