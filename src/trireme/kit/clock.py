"""Injected time: a real clock, and a virtual one whose event loop jumps to the next timer.

Every component reads time from ``env.clock`` only. Under ``VirtualLoop`` nothing waits: when no
task can run, the loop's time jumps to the earliest timer, so that a month of a CronJob takes
milliseconds and the order of events is the same in every run.
"""

from __future__ import annotations

import asyncio
import selectors
import time
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from trireme.kit import waiting

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

    async def tick(
        self, seconds: float, event: asyncio.Event | None = None, *, heartbeat: bool = False
    ) -> None:
        """The pause of a loop that looks at the same things again and again: ``sleep``, which
        ``event`` may end. A virtual clock may leave such looks out while nothing changes; not for
        loops that wait for time alone, such as a grace. ``heartbeat``: others look for its traces,
        so that it goes on first.
        """

    def call_tick(self, seconds: float, callback: Callable[[], None]) -> TimerHandle:
        """Call back after ``seconds``, or later: as ``tick``, for what only keeps in touch."""


class TimerHandle(Protocol):
    """A call that is due."""

    def cancel(self) -> None:
        """Do not make it."""


class RealClock:
    """The machine's own clock."""

    # As they are: both are read several times for each request.
    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0))

    async def tick(
        self, seconds: float, event: asyncio.Event | None = None, *, heartbeat: bool = False
    ) -> None:
        await _pause(seconds, event)

    def call_tick(self, seconds: float, callback: Callable[[], None]) -> TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, callback)


async def _pause(seconds: float, event: asyncio.Event | None) -> None:
    if event is None:
        await asyncio.sleep(max(seconds, 0))
    else:
        await waiting.wait(event, seconds)


class VirtualClock:
    """The clock of a ``VirtualLoop``; ``skew`` sets the wall clock off without moving time.

    ``skips``: a ``tick`` whose loop has looked once since the last ``touch`` lasts until the next
    one, so that an idle month costs nothing. Whoever sets it calls ``touch`` at every change.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, epoch: float = VIRTUAL_EPOCH) -> None:
        self._loop = loop
        self._epoch = epoch
        self.skew = 0.0
        self.skips = False
        self._touches = 0
        self._looked: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._skipped: dict[_Skipped, None] = {}

    def now(self) -> float:
        return self._epoch + self._loop.time() + self.skew

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0))

    async def tick(
        self, seconds: float, event: asyncio.Event | None = None, *, heartbeat: bool = False
    ) -> None:
        task = asyncio.current_task()
        if not self.skips or self._looked.get(task) != self._touches:
            self._looked[task] = self._touches
            await _pause(seconds, event)
            return
        own = event or asyncio.Event()
        skipped = self.call_tick(0.0 if heartbeat else seconds, own.set)
        try:
            await own.wait()
        finally:
            skipped.cancel()

    def call_tick(self, seconds: float, callback: Callable[[], None]) -> TimerHandle:
        if not self.skips:
            return self._loop.call_later(seconds, callback)
        made = _Skipped(self._skipped, seconds, callback)
        self._skipped[made] = None
        return made

    def touch(self) -> None:
        """Something has changed: whatever was left out goes on, after its own pause."""
        self._touches += 1
        if self._skipped:
            skipped, self._skipped = self._skipped, {}
            for one in skipped:
                one.resume(self._loop)


class _Skipped:
    """What is due after the next touch."""

    def __init__(
        self, place: dict[_Skipped, None], seconds: float, callback: Callable[[], None]
    ) -> None:
        self._place = place
        self._seconds = seconds
        self._callback = callback
        self._timer: asyncio.TimerHandle | None = None

    def resume(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(self._seconds, self._callback)

    def cancel(self) -> None:
        self._place.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()


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
