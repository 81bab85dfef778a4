"""Events that wait to be stored: --audit-log-mode=batch, and the webhook's.

In: events. Out: batches, at the rate that is set. What does not fit is dropped, and counted in the
log. Upstream: apiserver ``plugin/pkg/audit/buffered``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from trireme.apiserver.audit.event import Event
from trireme.apiserver.settings.audit import Batch
from trireme.kit.env import Env

Store = Callable[[list[Event]], Awaitable[bool]]


class Queue:
    """``store`` gets the batches, one after the other."""

    def __init__(self, settings: Batch, env: Env, store: Store) -> None:
        self._settings = settings
        self._env = env
        self._store = store
        self._events: deque[Event] = deque()
        self._new = asyncio.Event()
        self._full = asyncio.Event()
        self._tokens = float(settings.burst)
        self._at = env.clock.monotonic()
        self.dropped = 0

    def put(self, event: Event) -> bool:
        """Whether there is still room."""
        if len(self._events) >= self._settings.buffer:
            self.dropped += 1
            self._env.log.error("an audit event was dropped: the buffer is full")
            return False
        self._events.append(event)
        self._new.set()
        if len(self._events) >= self._settings.size:
            self._full.set()
        return True

    async def run(self) -> None:
        """Store batches: as soon as one is full, and otherwise at least every ``wait`` seconds."""
        while True:
            await self._new.wait()
            if self._settings.size > 1 and len(self._events) < self._settings.size:
                await self._pause()
            await self._throttle()
            await self._next()

    async def flush(self) -> None:
        """Store all that is left."""
        while self._events:
            await self._next()

    async def _next(self) -> None:
        size = min(self._settings.size, len(self._events))
        batch = [self._events.popleft() for _ in range(size)]
        if not self._events:
            self._new.clear()
        if len(self._events) < self._settings.size:
            self._full.clear()
        await self._store(batch)

    async def _pause(self) -> None:
        sleeping = asyncio.ensure_future(self._env.clock.sleep(self._settings.wait))
        filling = asyncio.ensure_future(self._full.wait())
        try:
            await asyncio.wait((sleeping, filling), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            filling.cancel()

    async def _throttle(self) -> None:
        """Wait for a turn, as a token bucket gives them."""
        settings = self._settings
        if not settings.qps:
            return
        now = self._env.clock.monotonic()
        self._tokens = min(settings.burst, self._tokens + (now - self._at) * settings.qps)
        self._at = now
        self._tokens -= 1
        if self._tokens < 0:
            await self._env.clock.sleep(-self._tokens / settings.qps)
