"""The gate before the runtime: so many calls at a time, what has begun first, none lost."""

from __future__ import annotations

import asyncio
import random

from trireme.kit.env import Env
from trireme.kubelet.cri import gate
from trireme.kubelet.cri.gate import Gate
from trireme.testing import virtual


@virtual.test()
async def test_pods_that_have_begun_are_finished_before_others_begin(env: Env) -> None:
    turns = Gate(4)
    begun = finished = most = 0

    async def pod() -> None:
        nonlocal begun, finished, most
        async with turns.turn(gate.SANDBOX):
            begun += 1
            most = max(most, begun - finished)
            await env.clock.sleep(1)
        for priority in (gate.CREATE, gate.START):
            async with turns.turn(priority):
                await env.clock.sleep(1)
        finished += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(pod())
    assert most <= 2 * 4


@virtual.test()
async def test_never_more_than_its_slots_and_never_idle_while_some_wait(env: Env) -> None:
    rng, turns = random.Random(3), Gate(4)
    running = most = 0

    async def call() -> None:
        nonlocal running, most
        async with turns.turn(rng.randrange(4)):
            running += 1
            most = max(most, running)
            try:
                await env.clock.sleep(1)
            finally:
                running -= 1

    began = env.clock.monotonic()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call()) for _ in range(200)]
        await env.clock.sleep(0.5)
        # Some give up, while they wait and while they run.
        for task in rng.sample(tasks, 60):
            task.cancel()
    assert (most, running) == (4, 0)
    assert env.clock.monotonic() - began <= 1 + 140 / 4


@virtual.test()
async def test_a_call_that_is_cancelled_as_its_turn_comes_gives_it_on(env: Env) -> None:
    turns = Gate(1)
    done = asyncio.Event()

    async def call(hold: float) -> None:
        async with turns.turn(gate.START):
            await env.clock.sleep(hold)

    async def last() -> None:
        async with turns.turn(gate.START):
            done.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(call(1))
        await asyncio.sleep(0)
        second = group.create_task(call(100))
        group.create_task(last())
        await env.clock.sleep(0.5)

        async def cancel() -> None:
            async with turns.turn(gate.SANDBOX):
                pass

        # The first ends: in the same turn of the loop its slot is given and the next is cancelled.
        await env.clock.sleep(0.5)
        second.cancel()
        group.create_task(cancel())
        await asyncio.wait_for(done.wait(), 5)
