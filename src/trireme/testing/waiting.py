"""Waiting until something is so: looked at after every change, and as time passes.

In: a condition, the clock, the journal. Out: the condition's value, or ``NeverTrue``. The condition
is evaluated once all that can run has run: at the end of an instant, never in the midst of one.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

from trireme.kit import waiting
from trireme.kit.clock import Clock
from trireme.testing import durations
from trireme.testing.journal import Journal

T = TypeVar("T")
# Longest pause between two looks, for conditions that depend on time alone.
LOOK = 1.0
# An instant's end: short of every timer, and nothing is ready before it.
_INSTANT = 1e-6


class NeverTrue(AssertionError):
    """A condition was not met in time."""


class Waiting:
    """What all waiting in one cluster shares. ``explain`` adds to what ``NeverTrue`` says;
    ``check`` raises where waiting has no sense."""

    def __init__(self, clock: Clock, journal: Journal, check: Callable[[], None]) -> None:
        self.clock = clock
        self.journal = journal
        self.check = check
        self.explain: Callable[[], Awaitable[str]] | None = None

    async def until(self, condition: Callable[[], Awaitable[T] | T], within: float, what: str) -> T:
        """The first true value of ``condition``. NeverTrue."""
        attempt = Attempt(self, within, what)
        while True:
            with attempt:
                value = condition()
                if inspect.isawaitable(value):
                    value = await value
                if value:
                    return cast(T, value)
            await attempt.next()


class Attempt:
    """One wait. Each look at the condition is made in its context, which takes AssertionErrors for
    "not yet"; ``next`` follows a look in vain."""

    def __init__(self, waiting: Waiting, within: float, what: str) -> None:
        self._waiting = waiting
        self._within = within
        self._what = what
        self._began = waiting.clock.monotonic()
        self._observed = 0
        self._problem = ""

    def __enter__(self) -> None:
        self._waiting.check()
        self._observed = self._waiting.journal.count
        self._problem = ""

    def __exit__(self, kind: object, problem: object, trace: object) -> bool:
        if not isinstance(problem, AssertionError) or isinstance(problem, NeverTrue):
            return False
        self._problem = str(problem)
        return True

    async def next(self) -> None:
        """Return when it is worth looking again. NeverTrue."""
        clock, journal = self._waiting.clock, self._waiting.journal
        now = clock.monotonic()
        if now - self._began >= self._within:
            raise await self._never(f"not within {durations.text(self._within)}")
        with journal.waiter() as changed:
            if journal.count == self._observed:
                await waiting.wait(changed, min(LOOK, self._within - (now - self._began)))
        if journal.count != self._observed:
            await clock.sleep(_INSTANT)

    async def _never(self, reason: str) -> NeverTrue:
        lines = [f"{self._what}: {reason}"]
        if self._problem:
            lines.append(self._problem)
        if self._waiting.explain is not None:
            lines.append(await self._waiting.explain())
        return NeverTrue("\n".join(lines))
