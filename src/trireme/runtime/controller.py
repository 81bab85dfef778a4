"""The control loop: calls ``reconcile(key)`` for the keys of changed objects.

In: informers with triggers, and a function ``reconcile(key)`` that reads caches, decides and
writes. Out: calls of it by ``workers`` tasks, never two at once for one key. Run by a component in
its task group. The result of reconcile:

    None               done, until something changes
    After(seconds)     reconcile again then, even if nothing changes
    raise Terminal     logged, not retried until something changes
    raise anything     retried with exponential backoff; logged once for each try
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from trireme.client.codec import Unreadable
from trireme.kit.env import Env
from trireme.machinery import errors
from trireme.runtime.informer import Event, Informer
from trireme.runtime.keys import Key
from trireme.runtime.triggers import Trigger
from trireme.runtime.workqueue import FIRST_RETRY, LAST_RETRY, WorkQueue


class After(msgspec.Struct, frozen=True):
    """Reconcile again in this many seconds."""

    seconds: float


class Terminal(Exception):
    """A retry is useless until something changes; the message has the reason."""


Reconcile = Callable[[Key], Awaitable[After | None]]
# How long the work on a key waits after an event, in seconds.
Delay = Callable[[Key], float]


class Controller:
    """One control loop. ``triggers`` pairs informers with functions from their events to keys;
    other sources add to ``queue``."""

    def __init__(
        self,
        name: str,
        reconcile: Reconcile,
        env: Env,
        *,
        triggers: Iterable[tuple[Informer[Any], Trigger]] = (),
        workers: int = 1,
        retry: tuple[float, float] = (FIRST_RETRY, LAST_RETRY),
    ) -> None:
        """``retry``: the delay after a failure, and what it grows to, in seconds."""
        self.name = name
        self.queue: WorkQueue[Key] = WorkQueue(name, env, retry)
        self._reconcile = reconcile
        self._env = env
        self._workers = workers
        self._informers: list[Informer[Any]] = []
        self._stopping = False
        # Workers that wait for a key.
        self._idle: set[asyncio.Task[None]] = set()
        for informer, trigger in triggers:
            self.watch(informer, trigger)

    def watch(
        self, informer: Informer[Any], trigger: Trigger, delay: Delay = lambda key: 0.0
    ) -> None:
        """Work on the keys that ``trigger`` finds in the informer's events, at once or after a
        ``delay``. Before ``run``: the loop waits until the informer has its first list."""
        self._informers.append(informer)

        def handle(event: Event[Any]) -> None:
            for key in trigger(event):
                self.queue.add_after(key, delay(key))

        informer.add_handler(handle)

    async def run(self) -> None:
        """Wait for the caches, then work until cancelled; what is under way then is finished, for
        ``env.grace`` seconds at most."""
        for informer in self._informers:
            await informer.synced()
        self._env.log.debug("%s: working", self.name)
        workers = [
            asyncio.create_task(self._work(), name=f"{self.name}/{number}")
            for number in range(self._workers)
        ]
        try:
            # One ends by itself only when the process is to end.
            await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.queue.close()
            await self._end(workers)
        await asyncio.gather(*workers)

    async def _end(self, workers: list[asyncio.Task[None]]) -> None:
        self._stopping = True
        for worker in self._idle:
            worker.cancel()
        try:
            if self._env.grace:
                await asyncio.wait(workers, timeout=self._env.grace)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.wait(workers)

    async def _work(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        while not self._stopping:
            self._idle.add(task)
            key = await self.queue.get()
            self._idle.discard(task)
            try:
                await self._attempt(key)
            finally:
                self.queue.done(key)

    async def _attempt(self, key: Key) -> None:
        try:
            result = await self._reconcile(key)
        except Terminal as error:
            self.queue.forget(key)
            self._env.log.warning("%s %s: given up: %s", self.name, key, error)
        except Exception as error:
            delay = self.queue.add_rate_limited(key)
            self._report(key, error, delay)
        else:
            self.queue.forget(key)
            if result is not None:
                self.queue.add_after(key, result.seconds)

    def _report(self, key: Key, error: Exception, delay: float) -> None:
        """Log an error of the server or the network in one line, a bug with its traceback."""
        if isinstance(error, ExceptionGroup) and not _bugs(error):
            error = _first(error)
        text = "%s %s: %s; again in %.3f s"
        if _overtaken(error):
            # A conflict: the cache will have the newer state at the retry.
            self._env.log.debug(text, self.name, key, error, delay)
        elif _expected(error):
            self._env.log.warning(text, self.name, key, error, delay)
        else:
            self._env.log.error(text, self.name, key, repr(error), delay, exc_info=error)


def _expected(error: BaseException) -> bool:
    return isinstance(error, errors.ApiError | OSError | Unreadable)


def _overtaken(error: BaseException) -> bool:
    return errors.is_conflict(error) or errors.is_namespace_terminating(error)


def _bugs(group: ExceptionGroup[Exception]) -> bool:
    """Whether an exception in the group is neither the server's nor the network's."""
    return group.split(_expected)[1] is not None


def _first(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
