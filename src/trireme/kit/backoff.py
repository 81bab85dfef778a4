"""Growing delays between tries: pure, the caller sleeps.

In: when the last failure was, and a generator for jitter. Out: seconds to wait. Used by watchers
and other loops that must go on when a server does not answer.
"""

from __future__ import annotations

import random


class Backoff:
    """``initial`` seconds, times ``factor`` for every failure up to ``maximum``, each stretched at
    random by up to ``jitter`` times itself. Starts over when ``reset`` seconds pass without one."""

    def __init__(
        self,
        initial: float,
        maximum: float,
        *,
        factor: float = 2.0,
        jitter: float = 1.0,
        reset: float = 120.0,
    ) -> None:
        self._initial = initial
        self._maximum = maximum
        self._factor = factor
        self._jitter = jitter
        self._reset_after = reset
        self._next = initial
        self._failed_at = float("-inf")

    def failed(self, now: float, rng: random.Random) -> float:
        """Note a failure at ``now`` (monotonic seconds); how long to wait before the next try."""
        if now - self._failed_at > self._reset_after:
            self._next = self._initial
        delay, self._failed_at = self._next, now
        self._next = min(delay * self._factor, self._maximum)
        return delay * (1.0 + self._jitter * rng.random())

    def reset(self) -> None:
        """The next failure is the first again."""
        self._next = self._initial
