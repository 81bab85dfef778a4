"""Cooperative yields of long work on an event loop.

In: a clock. Out: for each long task a ``Turn``, whose ``pause`` it calls after every small piece of
work. Of all long tasks one piece is done per iteration of the loop, so that many of them delay
others no more than one does. Under a virtual clock work takes no time, and no task ever pauses.
"""

from __future__ import annotations

import asyncio
from typing import Final

from trireme.kit.clock import Clock

# Seconds of work, about, before others have their turn.
LENGTH: Final = 0.002


class Turns:
    """The long tasks of one loop."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._one = asyncio.Lock()

    def begin(self) -> Turn:
        """A task's work begins."""
        return Turn(self)

    async def next(self) -> None:
        """Return after all other tasks, and each earlier caller, had a turn."""
        async with self._one:
            await asyncio.sleep(0)


class Turn:
    """One task's work; a piece of it is what lies between two calls of ``pause``."""

    __slots__ = ("_due", "_turns")

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._due = turns.clock.monotonic() + LENGTH

    async def pause(self) -> None:
        """Let others have their turn, once this one has lasted long enough."""
        if self._turns.clock.monotonic() >= self._due:
            await self._turns.next()
            self._due = self._turns.clock.monotonic() + LENGTH
