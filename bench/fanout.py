"""How fast a write reaches its watchers.

In: a ``Subject``. Out: seconds from the request of one write to the median and the last of its
watchers; events per second when many writes go to some watchers. The watchers are bare protocols
that count, so that the client costs little beside the server.
"""

from __future__ import annotations

import asyncio
import functools
import json
import time
from collections.abc import Callable

import aiohttp
from load import SPACE, Failed, config_map
from subjects import TOKEN, Subject

_PATH = f"/api/v1/namespaces/{SPACE}/configmaps"
_MARK = b'"type":"ADDED"'
_LAST_CHUNK = b"\r\n0\r\n\r\n"
PATIENCE = 30.0


class _Connection(asyncio.Protocol):
    """Counts the events, or answers, that arrive on one connection."""

    def __init__(self, mark: bytes, got: Callable[[int], None]) -> None:
        self._mark = mark
        self._got = got
        self._rest = b""
        self.count = 0
        self.ended: Callable[[], None] = lambda: None
        self.answered = asyncio.get_running_loop().create_future()

    def connection_lost(self, _problem: Exception | None) -> None:
        if not self.answered.done():
            self.answered.set_exception(Failed("the connection ended without an answer"))
        self.ended()

    def data_received(self, data: bytes) -> None:
        if not self.answered.done():
            self.answered.set_result(data[:12])
        text = self._rest + data
        found = text.count(self._mark)
        # A mark may be cut in two by packets.
        self._rest = text[-len(self._mark) + 1 :]
        if found:
            self.count += found
            self._got(found)
        if text.endswith(_LAST_CHUNK):
            # The answer is over; the connection may stay for another request.
            self.ended()


async def one_write(subject: Subject, watchers: int, rounds: int = 5) -> tuple[float, float]:
    """(median, last) seconds until a write has reached its watchers; medians of some rounds."""
    times: list[float] = []
    everybody = asyncio.Event()

    def got(count: int) -> None:
        times.extend([time.perf_counter()] * count)
        if len(times) >= watchers:
            everybody.set()

    revision = await _now(subject)
    open_ones = [await _watch(subject, revision, got) for _ in range(watchers)]
    writer, answers = await _writer(subject)
    medians, lasts = [], []
    for _ in range(rounds):
        times.clear()
        everybody.clear()
        began = time.perf_counter()
        writer.write(_post())
        await asyncio.wait_for(everybody.wait(), PATIENCE)
        await answers.get()
        medians.append(sorted(times)[watchers // 2] - began)
        lasts.append(max(times) - began)
    for transport in (*(pair[0] for pair in open_ones), writer):
        transport.close()
    return sorted(medians)[rounds // 2], sorted(lasts)[rounds // 2]


async def many_writes(subject: Subject, writes: int, watchers: int, writers: int = 16) -> float:
    """Events delivered per second while ``writes`` go to ``watchers``."""
    arrived, cut = 0, 0
    everything = asyncio.Event()

    def got(count: int) -> None:
        nonlocal arrived
        arrived += count
        if arrived >= writes * watchers:
            everything.set()

    revision = await _now(subject)
    open_ones = [await _watch(subject, revision, got) for _ in range(watchers)]
    pairs = [await _writer(subject) for _ in range(writers)]
    left = iter(range(writes))

    async def some(transport: asyncio.WriteTransport, answers: asyncio.Queue[int]) -> None:
        for _ in left:
            transport.write(_post())
            await answers.get()

    def missed(watcher: _Connection) -> None:
        # A server may cut off a watcher that it finds too slow; what that one misses is not waited
        # for, and not counted.
        nonlocal cut
        watcher.ended = lambda: None
        if not everything.is_set():
            cut += 1
            arrived_before = arrived
            got(writes - watcher.count)
            undelivered.append(arrived - arrived_before)

    undelivered: list[int] = []
    for _, watcher in open_ones:
        watcher.ended = functools.partial(missed, watcher)
    began = time.perf_counter()
    await asyncio.gather(*(some(*pair) for pair in pairs))
    await asyncio.wait_for(everything.wait(), PATIENCE)
    took = time.perf_counter() - began
    if cut:
        print(f"{cut} of {watchers} watchers were cut off")
    for transport in (*(pair[0] for pair in open_ones), *(pair[0] for pair in pairs)):
        transport.close()
    return (arrived - sum(undelivered)) / took


async def _watch(
    subject: Subject, revision: str, got: Callable[[int], None]
) -> tuple[asyncio.WriteTransport, _Connection]:
    path = f"{_PATH}?watch=1&resourceVersion={revision}"
    transport, protocol = await _connect(subject, _MARK, got)
    transport.write(_head("GET", path) + b"\r\n")
    head = await protocol.answered
    if head != b"HTTP/1.1 200":
        raise Failed(f"GET {path}: {head!r}")
    return transport, protocol


async def _now(subject: Subject) -> str:
    """The present revision, from a list of one."""
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        url = f"{subject.url}{_PATH}?limit=1"
        async with session.get(url, ssl=subject.context()) as answer:
            listed = await answer.json()
            return str(listed["metadata"]["resourceVersion"])


async def _writer(subject: Subject) -> tuple[asyncio.WriteTransport, asyncio.Queue[int]]:
    answers: asyncio.Queue[int] = asyncio.Queue()
    transport, _ = await _connect(subject, b"HTTP/1.1 201", answers.put_nowait)
    return transport, answers


async def _connect(
    subject: Subject, mark: bytes, got: Callable[[int], None]
) -> tuple[asyncio.WriteTransport, _Connection]:
    loop = asyncio.get_running_loop()
    return await loop.create_connection(
        lambda: _Connection(mark, got), "127.0.0.1", subject.port, ssl=subject.context()
    )


def _post() -> bytes:
    body = json.dumps(config_map()).encode()
    return _head("POST", _PATH) + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _head(method: str, path: str) -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Accept-Encoding: identity\r\nContent-Type: application/json\r\n"
    ).encode()
