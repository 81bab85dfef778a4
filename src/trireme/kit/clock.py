"""Injected time: a real clock, and a virtual one whose event loop jumps to the next timer.

Every component reads time from ``env.clock`` only. Under ``VirtualLoop`` nothing waits: when no
task can run, the loop's time jumps to the earliest timer, so that a month of a CronJob takes
milliseconds and the order of events is the same in every run.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from typing import Any, Protocol

# Where virtual time starts unless told otherwise: 2030-01-01T00:00:00Z.
VIRTUAL_EPOCH = 1893456000.0


class Clock(Protocol):
    """The clock's interface."""

    def now(self) -> float:
        """Wall-clock time: seconds since 1970 (UTC)."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back; only differences mean anything."""

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds``; 0 or less gives other tasks one turn."""


class RealClock:
    """The machine's own clock."""

    # As they are: both are read several times for each request.
    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0))


class VirtualClock:
    """The clock of a ``VirtualLoop``; ``skew`` sets the wall clock off without moving time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, epoch: float = VIRTUAL_EPOCH) -> None:
        self._loop = loop
        self._epoch = epoch
        self.skew = 0.0

    def now(self) -> float:
        return self._epoch + self._loop.time() + self.skew

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0))


class Deadlock(RuntimeError):
    """Nothing can run and no timer is set: under virtual time this would wait for ever."""


class Frozen(RuntimeError):
    """Time stands still, and only time could bring what is waited for."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose time stands still while tasks run and jumps when none can; it does not
    while ``frozen`` is above 0.

    Threads and sockets to other processes must not be used on it: their waits take no virtual time.
    """

    def __init__(self) -> None:
        self._virtual_time = 0.0
        self.frozen = 0
        super().__init__(_LeapingSelector(self))

    def time(self) -> float:
        return self._virtual_time

    def leap(self, seconds: float) -> None:
        """Move time on; the selector calls this when only timers are left."""
        self._virtual_time += seconds


class _LeapingSelector(selectors.DefaultSelector):
    """Polls without waiting; where the loop would have waited, time leaps instead."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise Deadlock("no task can run and no timer is set")
        if self._loop.frozen:
            raise Frozen(f"nothing can run, and the next timer is due in {timeout:g} s")
        # A timer's due time less the present time can be a rounding error short of zero.
        self._loop.leap(max(timeout, 1e-9))
        return ready
