"""Store figures: durable creates per second, listing, fan-out, restart.

Run: ``python bench/store.py [--folder DIR]`` (the SQLite file goes to a new folder below it).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import uvloop

from trireme.store.contract import Store, Value
from trireme.store.memory import MemoryStore
from trireme.store.sqlite import SqliteStore

BODY = Value(b'{"metadata":{"resourceVersion":"', b'"},"spec":"' + b"x" * 1500 + b'"}')
POD = Value(b'{"metadata":{"resourceVersion":"', b'"},"spec":"' + b"x" * 4750 + b'"}')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=None)
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        engines: dict[str, Callable[[], Store]] = {
            "memory": MemoryStore,
            "sqlite": lambda: SqliteStore(Path(scratch, "bench.db")),
        }
        for name, engine in engines.items():
            print(name)
            uvloop.run(_engine(engine))
        started = time.perf_counter()
        store = uvloop.run(_restart(engines["sqlite"]))
        _report("restart", f"{store} items in {(time.perf_counter() - started) * 1e3:.0f} ms")


async def _engine(engine: Callable[[], Store]) -> None:
    async with engine() as store:
        for writers, total in ((1, 3000), (16, 16000), (128, 16000)):
            rate = await _creates(store, f"/registry/bench{writers}/ns/", writers, total)
            _report(f"creates, {writers} writers", f"{rate:,.0f}/s")
        await _creates(store, "/registry/pods/default/", 64, 10_000, POD)
        for what, run in {
            "list 10k": lambda: store.list("/registry/pods/"),
            "list 500 of 10k": lambda: store.list("/registry/pods/", limit=500),
            "list 10k, 1,000 events ago": lambda: store.list(
                "/registry/pods/", revision=store.revision - 1000
            ),
        }.items():
            _report(what, f"{_best(run) * 1e3:.2f} ms")
        await _fan_out(store, subscriptions=1000, writes=1)
        await _fan_out(store, subscriptions=100, writes=1000)
        started = time.perf_counter()
        await store.compact(store.revision)
        _report("compact", f"{(time.perf_counter() - started) * 1e3:.1f} ms")


async def _creates(
    store: Store, prefix: str, writers: int, total: int, value: Value = BODY
) -> float:
    async def write(writer: int) -> None:
        for number in range(total // writers):
            await store.create(f"{prefix}item-{writer:03}-{number:06}", value)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for writer in range(writers):
            group.create_task(write(writer))
    return total / (time.perf_counter() - started)


async def _fan_out(store: Store, subscriptions: int, writes: int) -> None:
    prefix = f"/registry/fan{subscriptions}/"
    observed = [0] * subscriptions

    async def watch(index: int) -> None:
        subscription = store.watch(prefix, store.revision)
        with contextlib.closing(subscription):
            ready[index].set()
            while observed[index] < writes:
                observed[index] += len(await subscription.next())

    ready = [asyncio.Event() for _ in range(subscriptions)]
    async with asyncio.TaskGroup() as group:
        for index in range(subscriptions):
            group.create_task(watch(index))
        for event in ready:
            await event.wait()
        started, cpu = time.perf_counter(), time.process_time()
        for number in range(0, writes, 16):
            await asyncio.gather(
                *(
                    store.create(f"{prefix}ns/{index}", BODY)
                    for index in range(number, min(number + 16, writes))
                )
            )
    _report(
        f"{writes} writes to {subscriptions} watchers",
        f"{(time.perf_counter() - started) * 1e3:.1f} ms"
        f" ({(time.process_time() - cpu) * 1e3:.1f} ms CPU)",
    )


async def _restart(engine: Callable[[], Store]) -> int:
    async with engine() as store:
        return store.count("")


def _best(run: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return min(times)


def _report(what: str, figure: str) -> None:
    print(f"  {what:32} {figure}")


if __name__ == "__main__":
    main()
