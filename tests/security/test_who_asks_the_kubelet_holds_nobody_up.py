"""One client of the kubelet's server does not keep it from its pods, nor fill its memory or log.

A log that is written as fast as it is read gives others their turn; who goes away ends what was
done for it; what is no HTTP costs one answer and one line.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.kubelet.served import ServedNode, context, served
from trireme.kit.clock import RealClock
from trireme.kit.connections import Connection
from trireme.kubelet.host.contract import FileInfo
from trireme.kubelet.logs import read
from trireme.kubelet.logs.files import LogFiles
from trireme.kubelet.logs.read import Options

ENDLESS = b"1970-01-01T00:00:00.000000000Z stdout F x\n"


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[ServedNode]:
    async with served(tmp_path) as made:
        yield made


class Endless:
    """A log to which a container always writes more."""

    inode = 1
    reads = 0

    def read(self, limit: int) -> bytes:
        self.reads += 1
        assert self.reads < 1000, "nobody else got a turn"
        return ENDLESS * (limit // len(ENDLESS))

    def seek(self, offset: int) -> None:
        return

    def size(self) -> int:
        return 0

    def close(self) -> None:
        return


class EndlessLogs(LogFiles):
    def __init__(self) -> None:
        return

    def info(self, path: str) -> FileInfo:
        return FileInfo("file", 0o640, 0, inode=1)


async def test_a_log_without_end_leaves_others_their_turn() -> None:
    async def running() -> bool:
        raise AssertionError("the end was never reached")

    texts: Any = read.stream(
        EndlessLogs(), "/l/0.log", Endless(), Options(follow=True), RealClock(), running
    )
    taken = 0

    async def take() -> None:
        nonlocal taken
        async for _ in texts:
            taken += 1

    follower = asyncio.create_task(take())
    for _ in range(20):
        await asyncio.sleep(0)
    assert 0 < taken <= 20
    follower.cancel()
    await asyncio.gather(follower, return_exceptions=True)
    await texts.aclose()


async def connected(
    node: ServedNode, tmp_path: Path
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    assert node.config.server is not None
    tls = context(tmp_path, "boss", "system:masters")
    return await asyncio.open_connection("127.0.0.1", node.config.server.port, ssl=tls)


async def test_who_goes_away_ends_what_was_done_for_it(
    node: ServedNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = asyncio.Event()
    stream = read.stream

    async def watched(*arguments: Any) -> AsyncIterator[bytes]:
        try:
            async for text in stream(*arguments):
                yield text
        finally:
            ended.set()

    monkeypatch.setattr(read, "stream", watched)
    reader, writer = await connected(node, tmp_path)
    writer.write(b"GET /containerLogs/default/web/main?follow=true HTTP/1.1\r\nHost: x\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"200 OK" in head and b"Server:" not in head
    await reader.readuntil(b"two\n")
    writer.close()
    async with asyncio.timeout(5):
        await ended.wait()


async def test_what_is_no_request_costs_one_line(
    node: ServedNode, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for sent in (b"\x00\x01\x02\r\n\r\n", b"GET /pods HTTP/1.1\r\nHost x\r\n\r\n"):
        caplog.clear()
        reader, writer = await connected(node, tmp_path)
        writer.write(sent + b"x" * 1_000_000)
        assert b"400 Bad Request" in await reader.read()
        writer.close()
        [record] = [r for r in caplog.records if "no request" in r.getMessage()]
        assert record.exc_info is None
        assert len(record.getMessage()) < 100


async def test_what_follows_an_error_is_not_kept(node: ServedNode, tmp_path: Path) -> None:
    """Not as one error for each piece, while the first request is still answered."""
    _, writer = await connected(node, tmp_path)
    writer.write(
        b"POST /exec/default/web/main?command=sh&output=1 HTTP/1.1\r\nHost: x\r\n"
        b"Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n\r\n"
    )
    for _ in range(40):
        writer.write(b"x" * 100_000)
        await writer.drain()
    held = [c for c in gc.get_objects() if isinstance(c, Connection)]
    assert held and all(len(c._messages) <= 1 for c in held)
    writer.close()
