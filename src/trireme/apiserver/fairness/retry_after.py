"""When a refused client is to come again: the longer, the more were refused lately. Pure.

Called by the filter, with the time in whole seconds. Upstream: apiserver
``util/flowcontrol/dropped_requests_tracker.go``.
"""

from __future__ import annotations

from typing import Final

MOST: Final = 32


class RetryAfter:
    """Of one priority level. ``seconds`` doubles while three or more requests a second are refused,
    and goes back in steps of one."""

    def __init__(self) -> None:
        self.seconds = 1
        self._history: list[tuple[int, int]] = []
        self._second = 0
        self._count = 0
        self._increased = 0

    def refused(self, second: int) -> None:
        """One more request was refused."""
        if second == self._second:
            self._count += 1
            return
        self._history.append((self._second, self._count))
        oldest = self._second - min(2 * self.seconds, MOST)
        self._history = [entry for entry in self._history if entry[0] >= oldest]
        self._second, self._count = second, 1
        lately = sum(count for at, count in self._history if second - self.seconds <= at < second)
        if second - self._increased >= self.seconds and lately >= 3 * self.seconds:
            self.seconds = min(2 * self.seconds, MOST)
            self._increased = second
        elif lately < self.seconds and self.seconds > 1:
            self.seconds -= 1
