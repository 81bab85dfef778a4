"""A run: one server in process, many requests, and what must hold after them.

In: how many requests, a seed. Out: ``Report``. A round's objects are deleted after it, so memory
that goes on growing is a leak. Callers: ``test_fuzz`` and ``scripts/fuzz``.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any, NoReturn

from tests.apiserver.fuzz.asks import Ask, Asks
from trireme.apiserver import chain
from trireme.apiserver.reply.reply import Reply, StreamReply
from trireme.apiserver.request import Request, User
from trireme.apiserver.server import ApiServer
from trireme.kit.clock import RealClock
from trireme.kit.env import Env
from trireme.machinery import errors
from trireme.store.history import BufferedSubscription
from trireme.store.memory import MemoryStore
from trireme.testing import control_plane

ADMIN = User("admin", groups=("system:masters", "system:authenticated"))
ROUND = 2_000
HISTORY = 1_000
_KEPT = 20


@dataclass
class Report:
    """What a run came to."""

    asked: int = 0
    seconds: float = 0.0
    answers: Counter[int] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    tasks: int = 0
    # After each round: watches that are open (the server's own), and resident bytes.
    subscriptions: list[int] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    def leaks(self) -> bool:
        """Whether tasks or watches outlive their requests."""
        return self.tasks > 0 or self.subscriptions[-1] > self.subscriptions[0]

    def error(self, ask: Ask, what: str) -> None:
        if len(self.errors) < _KEPT:
            self.errors.append(f"{what}\n  {_printed(ask)}")


class _Hasty(RealClock):
    """A clock on which no request waits: for a service account that is still to come, say. What
    runs beside the requests does."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0 if seconds < 1 else seconds)


class _Nobody:
    """Kubelets, pods and webhooks that cannot be reached: a run leaves this process never."""

    def address(self, node: str) -> tuple[str, int]:
        return "192.0.2.1", 10250

    async def request(self, node: str, *_: Any) -> NoReturn:
        raise errors.bad_request(f"nobody is at {node}")

    fetch = upgrade = request

    async def __call__(self, *_: Any) -> NoReturn:
        raise OSError("nobody answers")

    async def close(self) -> None:
        pass


class _Listener(logging.Handler):
    """Keeps what should not be in a log: tracebacks and errors."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.levelno >= logging.ERROR:
            self.got.append(logging.Formatter().format(record))


async def run(count: int, seed: int) -> Report:
    """``count`` requests drawn from ``seed``."""
    report, rng, listener = Report(), Random(seed), _Listener()
    log = logging.getLogger("trireme.fuzz")
    log.addHandler(listener)
    log.propagate = False
    before = asyncio.all_tasks()
    nobody = _Nobody()
    try:
        async with control_plane.api_server(
            Env(clock=_Hasty(), rng=Random(seed), log=log),
            post_start_hooks=True,
            store=MemoryStore(history=HISTORY),
            kubelet_transport=nobody,
            feature_gates={"CBORServingAndStorage": True},
            runtime_config={"api/all": True},
        ) as server:
            server.context.served.custom._hooks = nobody  # type: ignore[assignment]
            await _rounds(server, Asks(rng, await documents(server)), count, report, listener)
    finally:
        log.removeHandler(listener)
    for _ in range(5):
        await asyncio.sleep(0)
    report.tasks = len(asyncio.all_tasks() - before - {asyncio.current_task()})
    return report


async def _rounds(
    server: ApiServer, asks: Asks, count: int, report: Report, listener: _Listener
) -> None:
    kept = {item.key for item in server.context.store.list("/").items}
    began = time.perf_counter()
    while report.asked < count:
        for ask in asks.definitions():
            await _answer(server, ask, True)
        await asyncio.sleep(0.05)
        for _ in range(min(ROUND, count - report.asked)):
            ask = asks.next()
            report.asked += 1
            start = time.perf_counter()
            status, got = await _answer(server, ask, report.asked % 2 == 0)
            took = time.perf_counter() - start
            report.slowest = max(report.slowest, (took, _printed(ask)))
            report.answers[status] += 1
            if status >= 500 and not _fair(ask, status, got):
                report.error(ask, f"{status} {got[:300]!r}")
            if listener.got:
                report.error(ask, listener.got.pop())
                listener.got.clear()
            _look(asks, report, ask, status, got)
        await _clean(server, kept)
        # What runs beside the requests looks at what has gone.
        await asyncio.sleep(0.05)
        gc.collect()
        report.memory.append(_resident())
        report.subscriptions.append(_subscriptions())
    report.seconds = time.perf_counter() - began


def _subscriptions() -> int:
    """Watches that are open; a buffer of one is the server's own listening for changes."""
    return sum(
        one._closed is None and one._buffer > 1
        for one in gc.get_objects()
        if isinstance(one, BufferedSubscription)
    )


def _fair(ask: Ask, status: int, got: bytes) -> bool:
    """What upstream itself answers: 504 to a resourceVersion of the future, 503 for a pod or
    Service that nobody stands behind."""
    if status == 500:
        # A custom object without the field that its scale stands for.
        return ask.method == "GET" and b"the spec replicas field" in got
    return status == 504 or (status == 503 and "/proxy" in ask.path)


async def _answer(server: ApiServer, ask: Ask, started: bool) -> tuple[int, bytes]:
    # One that says who it is, is asked to prove it.
    user = None if "authorization" in ask.headers else ADMIN
    request = Request(ask.method, ask.path, ask.query, ask.headers, ask.body, user=user)
    answer = await chain.handle(server, request)
    if isinstance(answer, StreamReply):
        await _leave(answer.chunks, started)
        return answer.status, b""
    return (answer.status, answer.body) if isinstance(answer, Reply) else (101, b"")


async def _leave(chunks: Any, started: bool) -> None:
    """A client that has its stream started, and goes; or had gone before."""
    if not started:
        await chunks.aclose()
        return
    first = asyncio.ensure_future(anext(chunks, b""))
    for _ in range(3):
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait({first})
    if not first.cancelled():
        first.exception()
    await chunks.aclose()


def _look(asks: Asks, report: Report, ask: Ask, status: int, got: bytes) -> None:
    """A failure under the API is a Status; what was made is asked for again."""
    if status < 400 and not (status == 201 and ask.method == "POST"):
        return
    try:
        answer = json.loads(got)
    except ValueError:
        return
    if not isinstance(answer, dict):
        return
    if status >= 400:
        if answer.get("kind") == "Status" and answer.get("code") != status:
            report.error(ask, f"{status}, but the Status says {answer.get('code')}")
        return
    name = (answer.get("metadata") or {}).get("name")
    if name:
        asks.known.append(name)
        del asks.known[:-200]


async def _clean(server: ApiServer, kept: set[str]) -> None:
    """Delete what the round has made, whatever its finalizers say."""
    for item in server.context.store.list("/").items:
        if item.key not in kept:
            await server.context.store.delete(item.key)
            server.context.views.drop(item.key)
            server.context.reader.drop(item.key)


async def documents(server: ApiServer) -> list[dict[str, Any]]:
    """All OpenAPI v3 documents that the server publishes."""
    found = []
    root = await _json(server, "/openapi/v3")
    for name in sorted(root["paths"]):
        found.append(await _json(server, f"/openapi/v3/{name}"))
    return found


async def _json(server: ApiServer, path: str) -> Any:
    answer = await chain.handle(server, Request("GET", path, user=ADMIN))
    assert isinstance(answer, Reply) and answer.status == 200
    return json.loads(answer.body)


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _printed(ask: Ask) -> str:
    return (
        f"{ask.method} {ask.path[:300]}?{ask.query[:200]} {ask.headers} "
        f"{len(ask.body)} bytes: {ask.body[:1500]!r}"
    )
