"""What is under way when a component has to end is finished, for its grace and no longer."""

from __future__ import annotations

import asyncio
import dataclasses

from trireme.api.core import v1 as core
from trireme.kit.env import Env
from trireme.machinery import meta
from trireme.runtime.controller import Controller
from trireme.runtime.keys import Key
from trireme.runtime.recorder import NORMAL, EventRecorder
from trireme.testing import virtual

KEYS = [Key("default", name) for name in "abcd"]


class Loop:
    """A controller whose reconcile takes ``seconds``."""

    def __init__(self, env: Env, grace: float, seconds: float) -> None:
        self.env = env
        self.seconds = seconds
        self.finished: list[str] = []
        own = dataclasses.replace(env, grace=grace)
        self.controller = Controller("test", self._reconcile, own, workers=2)
        self.task = asyncio.ensure_future(self.controller.run())

    async def _reconcile(self, key: Key) -> None:
        await self.env.clock.sleep(self.seconds)
        self.finished.append(key.name)

    async def end(self) -> float:
        """Cancel it; how long its end took."""
        began = self.env.clock.monotonic()
        self.task.cancel()
        await asyncio.wait({self.task})
        assert self.task.cancelled()
        return self.env.clock.monotonic() - began


@virtual.test()
async def test_what_is_worked_on_is_finished_and_nothing_is_begun(env: Env) -> None:
    loop = Loop(env, grace=10.0, seconds=3.0)
    for key in KEYS:
        loop.controller.queue.add(key)
    await env.clock.sleep(1.0)
    assert await loop.end() == 2.0
    assert loop.finished == ["a", "b"]


@virtual.test()
async def test_it_is_waited_for_as_long_as_the_grace(env: Env) -> None:
    loop = Loop(env, grace=10.0, seconds=60.0)
    loop.controller.queue.add(KEYS[0])
    await env.clock.sleep(1.0)
    assert await loop.end() == 10.0
    assert loop.finished == []


@virtual.test()
async def test_without_a_grace_it_ends_at_once(env: Env) -> None:
    loop = Loop(env, grace=0.0, seconds=60.0)
    loop.controller.queue.add(KEYS[0])
    await env.clock.sleep(1.0)
    assert await loop.end() == 0.0


@virtual.test()
async def test_who_has_nothing_to_do_ends_at_once(env: Env) -> None:
    loop = Loop(env, grace=10.0, seconds=1.0)
    await env.clock.sleep(1.0)
    assert await loop.end() == 0.0


@virtual.test()
async def test_events_that_wait_are_written_once(env: Env, serving) -> None:
    async with serving(env) as client:
        recorder = EventRecorder(client, "test", "", dataclasses.replace(env, grace=5.0))
        running = asyncio.ensure_future(recorder.run())
        await virtual.run_ready()
        about = core.ConfigMap(metadata=meta.ObjectMeta(name="a", namespace="default", uid="u"))
        for number in range(3):
            recorder.event(about, NORMAL, f"Reason{number}", "a message")
        # The first is on its way.
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait({running})
        events = (await client.list(core.Event, "default")).items
        assert sorted(item.reason for item in events) == ["Reason0", "Reason1", "Reason2"]


@virtual.test()
async def test_an_api_server_that_is_gone_is_waited_for_as_long_as_the_grace(
    env: Env, world
) -> None:
    async with world(env) as w:
        client, injector = w.through()
        injector.down = True
        recorder = EventRecorder(client, "test", "", dataclasses.replace(env, grace=5.0))
        running = asyncio.ensure_future(recorder.run())
        about = core.ConfigMap(metadata=meta.ObjectMeta(name="a", namespace="default", uid="u"))
        recorder.event(about, NORMAL, "Reason", "a message")
        await env.clock.sleep(1.0)
        began = env.clock.monotonic()
        running.cancel()
        await asyncio.wait({running})
        assert env.clock.monotonic() - began <= 5.0
