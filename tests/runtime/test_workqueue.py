"""The three rules of the queue, delays and back-off."""

from __future__ import annotations

import asyncio

from trireme.kit.env import Env
from trireme.runtime.workqueue import WorkQueue
from trireme.testing import virtual


def sample(env: Env, name: str) -> float | None:
    return env.metrics.get_sample_value(name, {"name": "q"})


@virtual.test()
async def test_a_waiting_key_is_not_added_again(env: Env) -> None:
    queue: WorkQueue[str] = WorkQueue("q", env)
    for key in "abab":
        queue.add(key)
    assert len(queue) == 2
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert len(queue) == 0 and not queue.idle


@virtual.test()
async def test_a_key_at_work_comes_once_more_after_it(env: Env) -> None:
    queue: WorkQueue[str] = WorkQueue("q", env)
    queue.add("a")
    key = await queue.get()
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0
    queue.done(key)
    assert len(queue) == 1
    queue.done(await queue.get())
    assert queue.idle


@virtual.test()
async def test_workers_wait_for_keys(env: Env) -> None:
    queue: WorkQueue[str] = WorkQueue("q", env)
    first, second = asyncio.ensure_future(queue.get()), asyncio.ensure_future(queue.get())
    await virtual.run_ready()
    queue.add("a")
    await virtual.run_ready()
    assert first.done() and not second.done()
    second.cancel()
    queue.add("b")
    assert await queue.get() == "b"


@virtual.test()
async def test_a_worker_cancelled_when_woken_wakes_the_next(env: Env) -> None:
    queue: WorkQueue[str] = WorkQueue("q", env)
    first, second = asyncio.ensure_future(queue.get()), asyncio.ensure_future(queue.get())
    await virtual.run_ready()
    queue.add("a")
    first.cancel()
    await virtual.run_ready()
    assert first.cancelled() and second.result() == "a"


@virtual.test()
async def test_a_delayed_key_comes_at_its_earliest_time(env: Env) -> None:
    queue: WorkQueue[str] = WorkQueue("q", env)
    start = env.clock.monotonic()
    queue.add_after("a", 60)
    queue.add_after("a", 20)
    queue.add_after("a", 40)
    assert await queue.get() == "a"
    assert env.clock.monotonic() - start == 20
    queue.done("a")
    await env.clock.sleep(100)
    assert queue.idle


@virtual.test()
async def test_failures_back_off_to_a_thousand_seconds(env: Env) -> None:
    queue: WorkQueue[str] = WorkQueue("q", env)
    delays = []
    for _ in range(20):
        delays.append(queue.add_rate_limited("a"))
        queue.done(await queue.get())
    assert delays[:4] == [0.005, 0.01, 0.02, 0.04]
    assert delays[17:] == [0.005 * 2**17, 1000.0, 1000.0]
    assert queue.failures("a") == 20
    queue.forget("a")
    assert queue.add_rate_limited("a") == 0.005
    queue.close()
    await env.clock.sleep(1)
    assert queue.idle


@virtual.test()
async def test_metrics(env: Env) -> None:
    queue: WorkQueue[str] = WorkQueue("q", env)
    WorkQueue("other", env)
    queue.add("a")
    queue.add("b")
    assert sample(env, "workqueue_depth") == 2
    await env.clock.sleep(3)
    key = await queue.get()
    await env.clock.sleep(2)
    queue.done(key)
    assert sample(env, "workqueue_adds_total") == 2
    assert sample(env, "workqueue_queue_duration_seconds_sum") == 3
    assert sample(env, "workqueue_work_duration_seconds_sum") == 2
