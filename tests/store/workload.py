"""Clients and watchers of one or more stores on the same data, which note what they see."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Sequence

from tests.store.checker import History, check_watch

from trireme.store.contract import (
    Conflict,
    Event,
    KeyExists,
    KeyMissing,
    Store,
    StoreUnavailable,
    SubscriptionClosed,
    Value,
)

PREFIX = "/r/pods/"
KEYS = [f"{PREFIX}{name}" for name in "abcd"]


class Workload:
    """``writers`` on each store; ``count`` operations are acknowledged before ``progress``."""

    def __init__(self, stores: Sequence[Store], seed: int, writers: int = 3) -> None:
        self.stores = stores
        self.history = History()
        self.refused: list[str] = []
        self.acknowledged = 0
        self._rng = random.Random(seed)
        self._writers = writers
        self._watches: list[tuple[int, list[Event]]] = []
        self._seen_until = [0] * len(stores)
        self._stopping = False
        self._news = asyncio.Event()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Writes and watches until the end; then all is checked."""
        async with asyncio.TaskGroup() as group:
            watchers = [
                group.create_task(self._watch(at, store)) for at, store in enumerate(self.stores)
            ]
            writers = [
                group.create_task(self._write(store))
                for store in self.stores
                for _ in range(self._writers)
            ]
            yield
            self._stopping = True
            await asyncio.wait(writers)
            for store in self.stores:
                await store.barrier()
            await self._until(self._seen_by_all, 20)
            for watcher in watchers:
                watcher.cancel()
        self.check()

    async def progress(self, count: int = 30, seconds: float = 20.0) -> None:
        """Until so many more operations have been acknowledged."""
        wanted = self.acknowledged + count
        await self._until(lambda: self.acknowledged >= wanted, seconds)

    async def refusals(self, count: int = 1, seconds: float = 20.0) -> None:
        """Until so many more have been refused."""
        wanted = len(self.refused) + count
        await self._until(lambda: len(self.refused) >= wanted, seconds)

    async def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def check(self) -> None:
        events = self._watches[0][1]
        assert self._watches[0][0] <= 1, "the first watcher has seen all"
        self.history.check(events)
        for since, seen in self._watches:
            check_watch(seen, events, PREFIX, since)

    def _newest(self) -> int:
        """The newest revision that every store has of what is watched."""
        return max(
            (item.revision for store in self.stores for item in store.list(PREFIX).items),
            default=0,
        )

    def _seen_by_all(self) -> bool:
        newest = self._newest()
        return all(self._seen_until[index] >= newest for index in range(len(self.stores)))

    async def _watch(self, at: int, store: Store) -> None:
        since = 1
        while True:
            seen: list[Event] = []
            subscription = store.watch(PREFIX, since)
            self._watches.append((since, seen))
            try:
                while True:
                    seen += await subscription.next()
                    self._seen_until[at] = seen[-1].revision
                    self._news.set()
            except SubscriptionClosed:
                since = subscription.revision
            finally:
                subscription.close()

    async def _write(self, store: Store) -> None:
        while not self._stopping:
            key = self._rng.choice(KEYS)
            try:
                await self._one(store, key, self._rng.random())
                self.acknowledged += 1
                self._news.set()
            except StoreUnavailable as error:
                self.refused.append(str(error))
                self._news.set()
                await asyncio.sleep(0.01)
            except (KeyExists, KeyMissing, Conflict):
                pass

    async def _one(self, store: Store, key: str, chance: float) -> None:
        history, value = self.history, Value(b"%f@" % chance, b".")
        if chance < 0.3:
            with history.operation("read", key) as read:
                await store.barrier()
                item = store.get(key)
                read.revision = 0 if item is None else item.revision
            return
        item = store.get(key)
        if item is None:
            with history.operation("create", key, 0) as write:
                write.revision = (await store.create(key, value)).revision
        elif chance < 0.8:
            with history.operation("update", key, item.revision) as write:
                write.revision = (await store.update(key, value, item.revision)).revision
        else:
            with history.operation("delete", key, item.revision) as write:
                write.revision = (await store.delete(key, item.revision, value)).revision
