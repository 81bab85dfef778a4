"""Work that is done every so often, not because something changed.

In: a function, a period in seconds, the caches that it reads. Out: calls of it, the first one as
soon as the caches have their first list. Run by a component in its task group.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from trireme.kit.env import Env
from trireme.runtime.informer import Informer


class Periodic:
    """``work`` is called again ``period`` seconds after it returned."""

    def __init__(
        self,
        work: Callable[[], Awaitable[None]],
        period: float,
        env: Env,
        *,
        informers: Iterable[Informer[Any]] = (),
    ) -> None:
        self._work = work
        self._period = period
        self._env = env
        self._informers = list(informers)

    async def run(self) -> None:
        """Work until cancelled."""
        for informer in self._informers:
            await informer.synced()
        while True:
            await self._work()
            await self._env.clock.sleep(self._period)
