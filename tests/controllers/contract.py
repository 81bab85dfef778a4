"""What every controller keeps to, whatever happens to it: the frame of ``test_contract``.

A controller joins by a file in ``cases/`` that says ``CASE = Case(...)``: a short story (what
a user does, and when the cluster is as it should be), what holds at every moment of it, and, where
the controller owns objects, an orphan that it takes and a name that another has taken. The story is
played on the real API server with all controllers, under virtual time, and once for each of the
faults below; its end must be the same every time, and a cluster at its end is left alone.
"""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.controllers import cases, harness
from tests.controllers.harness import World
from trireme.client.transport import Response, Stream, Transport, Unreachable
from trireme.cloud.settings import Settings as CloudSettings
from trireme.cluster import cloud_controllers
from trireme.controllers import manager
from trireme.kit.env import Env
from trireme.machinery import errors
from trireme.machinery.codec import json
from trireme.testing.memory_cloud import MemoryCloud

Act = Callable[[World], Awaitable[None]]
Seen = Callable[[World], Any]


@dataclass(frozen=True, kw_only=True)
class Step:
    """``act`` is what a user does; ``done`` is true once the cluster has followed, within
    ``seconds`` of virtual time when nothing goes wrong."""

    act: Act
    done: Seen
    seconds: float = 120.0


@dataclass(frozen=True, kw_only=True)
class Case:
    """``controller``: its service account, whose writes are counted. ``children``: kind of the
    objects that it makes, which are deleted in any order when it may make them again.

    ``holds`` raises AssertionError when something is wrong that must never be so. ``orphan`` makes
    an object that the controller adopts in the first step's state, and ``adopted`` sees that; then
    ``let_go`` changes it so that it is released, and ``released`` sees that. ``collide`` takes a
    name that the controller will want, before the story.
    """

    name: str
    controller: str
    steps: tuple[Step, ...]
    children: type | None = None
    holds: Callable[[World], None] = lambda w: None
    orphan: Act | None = None
    adopted: Seen = lambda w: True
    let_go: Act | None = None
    released: Seen = lambda w: True
    collide: Act | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def user(self) -> str:
        of_cloud = cloud_controllers.definitions(MemoryCloud(), CloudSettings())
        accounts = {item.name: item.account for item in (*manager.definitions(), *of_cloud)}
        account = accounts.get(self.controller, self.controller)
        return f"system:serviceaccount:kube-system:{account}"


def found() -> list[Case]:
    """All cases, by file."""
    names = sorted(item.name for item in pkgutil.iter_modules(cases.__path__))
    modules = [importlib.import_module(f"{cases.__name__}.{name}") for name in names]
    return [case for module in modules for case in _of(module.CASE)]


def _of(made: Case | tuple[Case, ...]) -> tuple[Case, ...]:
    return (made,) if isinstance(made, Case) else made


async def play_story(w: World, case: Case, patience: float = 1.0) -> None:
    """The whole story; ``patience`` times the seconds that each step is given."""
    for step in case.steps:
        await step.act(w)
        await follow(w, case, step.done, step.seconds * patience)


async def follow(w: World, case: Case, done: Seen, seconds: float) -> None:
    """Wait until it is done, and see at every moment what must hold."""

    def seen() -> Any:
        case.holds(w)
        return done(w)

    await w.until(seen, seconds)


async def left_alone(w: World, case: Case, seconds: float = 60.0) -> None:
    """The controller writes nothing more."""
    written = {key: n for key, n in (await w.quiet(seconds)).items() if key[0] == case.user}
    case.holds(w)
    assert not written, f"{case.name} is done, and yet: {written}"


class Fault:
    """A transport's trouble. One for all transports of a world; ``wrap`` is ``per_user``."""

    def __init__(self, case: Case, rng: random.Random) -> None:
        self.user = case.user
        self.rng = rng
        self.over = False

    def wrap(self, inner: Transport, user: str) -> Transport:
        return _Through(inner, self, user)

    async def request(self, send: Callable[[], Awaitable[Response]], call: Call) -> Response:
        return await send()

    async def chunks(self, coming: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in coming:
            yield chunk


@dataclass(frozen=True)
class Call:
    user: str
    method: str
    path: str

    @property
    def writes(self) -> bool:
        return self.method != "GET" and "/events" not in self.path


class _Through:
    def __init__(self, inner: Transport, fault: Fault, user: str) -> None:
        self._inner = inner
        self._fault = fault
        self._user = user

    async def request(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        async def send() -> Response:
            return await self._inner.request(method, path, query, headers, body)

        if self._fault.over:
            return await send()
        return await self._fault.request(send, Call(self._user, method, path))

    def stream(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> AbstractAsyncContextManager[Stream]:
        return self._stream(method, path, query, headers, body)

    @asynccontextmanager
    async def _stream(self, *call: Any) -> AsyncIterator[Stream]:
        async with self._inner.stream(*call) as stream:
            chunks = self._fault.chunks(stream.chunks)
            yield Stream(stream.status, stream.headers, chunks)

    async def close(self) -> None:
        await self._inner.close()


def answer(error: errors.ApiError) -> Response:
    headers = {"retry-after": str(error.retry_after)} if error.retry_after else {}
    return Response(error.code, headers, json.encode(error.status()))


class Kill(Fault):
    """The manager dies at the controller's ``at``-th write: before it is sent, or when it was
    carried out and no answer came."""

    def __init__(self, case: Case, at: int, carried_out: bool) -> None:
        super().__init__(case, random.Random(at))
        self.at = at
        self._carried_out = carried_out
        self.killed = asyncio.Event()

    async def request(self, send: Callable[[], Awaitable[Response]], call: Call) -> Response:
        if call.user != self.user or not call.writes:
            return await send()
        self.at -= 1
        if self.at > 0:
            return await send()
        if self.at == 0 and self._carried_out:
            await send()
        self.killed.set()
        await asyncio.get_running_loop().create_future()
        raise AssertionError("unreachable")

    async def restart(self, w: World) -> None:
        """Once it has died, start the manager anew."""
        await self.killed.wait()
        self.over = True
        await w.stop_controllers()
        await w.start_controllers()


class Stale(Fault):
    """Caches are seconds behind."""

    async def chunks(self, coming: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in coming:
            if not self.over:
                await asyncio.sleep(self.rng.uniform(0.0, 3.0))
            yield chunk


class Conflict(Fault):
    """Every other write of an object that is there is refused: another was faster."""

    async def request(self, send: Callable[[], Awaitable[Response]], call: Call) -> Response:
        if call.writes and call.method in ("PUT", "PATCH") and self.rng.random() < 0.5:
            return answer(errors.conflict("things", "x"))
        return await send()


class Busy(Fault):
    """A third of the requests is answered with 429."""

    async def request(self, send: Callable[[], Awaitable[Response]], call: Call) -> Response:
        if self.rng.random() < 0.3:
            return answer(errors.too_many_requests("later", self.rng.randint(0, 2)))
        return await send()


class Lost(Fault):
    """Some requests do not arrive, and of others the answer does not."""

    async def request(self, send: Callable[[], Awaitable[Response]], call: Call) -> Response:
        luck = self.rng.random()
        if luck < 0.1:
            raise Unreachable(f"{call.method} {call.path}: not sent")
        response = await send()
        if luck < 0.2 and call.writes:
            raise Unreachable(f"{call.method} {call.path}: no answer")
        return response


class Dropped(Fault):
    """Watches break, in the middle of what they say."""

    async def chunks(self, coming: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in coming:
            if not self.over and self.rng.random() < 0.2:
                raise Unreachable("the stream broke")
            yield chunk


class Compacted(Fault):
    """Watches end with 410 Gone: what was missed is in a new list only."""

    async def chunks(self, coming: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in coming:
            if not self.over and self.rng.random() < 0.2:
                status = json.encode(errors.expired("too old resource version").status())
                yield b'{"type":"ERROR","object":' + status + b"}\n"
                return
            yield chunk


FAULTS = (Stale, Conflict, Busy, Lost, Dropped, Compacted)


@asynccontextmanager
async def world(env: Env, case: Case, fault: Fault | None = None) -> AsyncIterator[World]:
    """A cluster for the case; the fault begins with the story."""
    options: dict[str, Any] = dict(case.options)
    if fault is not None:
        fault.over = True
        options["per_user"] = fault.wrap
    async with harness.world(env, **options) as w:
        if fault is not None:
            fault.over = False
        yield w
