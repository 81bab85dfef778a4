"""Mean, deviation and maximum over time of a number that changes in steps. Pure.

Called by: ``queueset``, for the seats that requests want. Upstream: apiserver
``util/flowcontrol/fairqueuing/integrator.go``.
"""

from __future__ import annotations

import math
from typing import NamedTuple


class Moments(NamedTuple):
    """What was seen: ``seconds`` may be 0, and then says nothing of the mean."""

    seconds: float
    mean: float
    deviation: float
    most: int


class Integrator:
    """``value`` holds since the last ``set``."""

    __slots__ = ("_most", "_now", "_seconds", "_squares", "_sum", "value")

    def __init__(self, now: float) -> None:
        self.value = 0
        self._now = now
        self._seconds = self._sum = self._squares = 0.0
        self._most = 0

    def set(self, now: float, value: int) -> None:
        """From now on another value."""
        passed = now - self._now
        if passed > 0:
            self._add(passed)
            self._now = now
        self.value = value
        if value > self._most:
            self._most = value

    def _add(self, passed: float) -> None:
        value = self.value
        self._seconds += passed
        self._sum += value * passed
        self._squares += value * value * passed

    def reset(self, now: float) -> Moments:
        """What was seen since the last reset."""
        self.set(now, self.value)
        seconds, most = self._seconds, self._most
        mean = self._sum / seconds if seconds > 0 else 0.0
        variance = self._squares / seconds - mean * mean if seconds > 0 else 0.0
        self._seconds = self._sum = self._squares = 0.0
        self._most = self.value
        return Moments(seconds, mean, math.sqrt(max(variance, 0.0)), most)
