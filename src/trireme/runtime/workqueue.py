"""The work queue: each key waits at most once and is never processed twice at the same time.

In: keys, at once (``add``), later (``add_after``) or after a failure (``add_rate_limited``). Out:
``get`` gives one to a worker, which calls ``done``. Called by ``controller``. Three rules make it
level-triggered (client-go ``util/workqueue``):

- a key that is added while it waits is not added again;
- a key that is added while it is processed is added again when that is done;
- a delayed key is added at the earliest of its times.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import prometheus_client

from trireme.kit import metrics
from trireme.kit.env import Env

K = TypeVar("K", bound=Hashable)

FIRST_RETRY, LAST_RETRY = 0.005, 1000.0
_BUCKETS = tuple(10.0**power for power in range(-8, 2))


class WorkQueue(Generic[K]):
    """Lives on one event loop. ``name`` labels its metrics; ``retry`` is the delay after the first
    failure, and the longest."""

    def __init__(
        self, name: str, env: Env, retry: tuple[float, float] = (FIRST_RETRY, LAST_RETRY)
    ) -> None:
        self._clock = env.clock
        self._retry = retry
        # The keys that wait, in order; all of them are in ``_dirty``.
        self._queue: deque[K] = deque()
        # The keys that need work: those that wait, and those added while being worked on.
        self._dirty: set[K] = set()
        # The keys being processed. One that is dirty too is added again when that is done.
        self._processing: dict[K, float] = {}
        self._getters: deque[asyncio.Future[None]] = deque()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._added: dict[K, float] = {}
        self._metrics = _Metrics(name, env.metrics, self._running)

    def __len__(self) -> int:
        """How many keys wait for a worker."""
        return len(self._queue)

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is worked on; keys may still be delayed."""
        return not self._queue and not self._processing

    def add(self, key: K) -> None:
        """The key needs work."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        self._added[key] = self._clock.monotonic()
        self._metrics.adds.inc()
        if key not in self._processing:
            self._append(key)

    def add_after(self, key: K, seconds: float) -> None:
        """The key needs work in ``seconds``; an earlier time that it has is kept."""
        if seconds <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= loop.time() + seconds:
                return
            timer.cancel()
        self._timers[key] = loop.call_later(seconds, self._due, key)

    def add_rate_limited(self, key: K) -> float:
        """The work failed: again after the first delay, doubled with every failure up to the
        longest. Returns the delay in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        # Bounded, so that the float cannot overflow.
        first, last = self._retry
        delay = min(first * 2.0 ** min(failures, 40), last)
        self._metrics.retries.inc()
        self.add_after(key, delay)
        return delay

    def failures(self, key: K) -> int:
        """How often ``add_rate_limited`` was called since the last ``forget``."""
        return self._failures.get(key, 0)

    def forget(self, key: K) -> None:
        """The work succeeded, or is given up: the next failure is the first."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """The next key; the caller has it until it says ``done``."""
        while not self._queue:
            getter = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                # The cancelled task may have been woken for a key: wake another.
                if getter.done() and not getter.cancelled():
                    self._wake()
                raise
        key = self._queue.popleft()
        now = self._clock.monotonic()
        self._dirty.discard(key)
        self._processing[key] = now
        self._metrics.depth.set(len(self._queue))
        self._metrics.waited.observe(now - self._added.pop(key, now))
        return key

    def done(self, key: K) -> None:
        """The work on ``key`` has ended, well or not."""
        began = self._processing.pop(key)
        self._metrics.worked.observe(self._clock.monotonic() - began)
        if key in self._dirty:
            self._append(key)

    def close(self) -> None:
        """Stop all timers. Keys that wait stay, nobody gets them."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _running(self) -> list[float]:
        """For how long each key has been worked on."""
        now = self._clock.monotonic()
        return [now - began for began in self._processing.values()]

    def _due(self, key: K) -> None:
        del self._timers[key]
        self.add(key)

    def _append(self, key: K) -> None:
        self._queue.append(key)
        self._metrics.depth.set(len(self._queue))
        self._wake()

    def _wake(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return


class _Metrics:
    """Upstream's metrics of a work queue; https://kubernetes.io/docs/reference/instrumentation/."""

    def __init__(
        self,
        name: str,
        registry: prometheus_client.CollectorRegistry,
        running: Callable[[], list[float]],
    ) -> None:
        metrics.gauge(
            registry,
            "workqueue_unfinished_work_seconds",
            "For how long the keys that are worked on have been, together",
            ["name"],
        ).labels(name).set_function(lambda: sum(running()))
        metrics.gauge(
            registry,
            "workqueue_longest_running_processor_seconds",
            "For how long the longest of them has been worked on",
            ["name"],
        ).labels(name).set_function(lambda: max(running(), default=0.0))
        gauge, counter = prometheus_client.Gauge, prometheus_client.Counter
        histogram = prometheus_client.Histogram
        self.depth = metrics.family(
            registry, gauge, "workqueue_depth", "Keys that wait for a worker", ["name"]
        ).labels(name)
        self.adds = metrics.family(
            registry, counter, "workqueue_adds_total", "Keys added", ["name"]
        ).labels(name)
        self.retries = metrics.family(
            registry, counter, "workqueue_retries_total", "Keys added after a failure", ["name"]
        ).labels(name)
        self.waited = metrics.family(
            registry,
            histogram,
            "workqueue_queue_duration_seconds",
            "How long a key waited for a worker",
            ["name"],
            buckets=_BUCKETS,
        ).labels(name)
        self.worked = metrics.family(
            registry,
            histogram,
            "workqueue_work_duration_seconds",
            "How long the work on a key took",
            ["name"],
            buckets=_BUCKETS,
        ).labels(name)
