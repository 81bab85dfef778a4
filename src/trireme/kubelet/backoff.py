"""Exponential backoff by key: crash loops and image pulls.

In: a key, the time of the event, now (seconds). Out: whether to wait, and how long. Called by
sync/plan (read only), workers and images/pull. Pure: a data structure without a clock.
Rules: 10 s doubling to 300 s; reset when twice the maximum passes without an event.
"""

from __future__ import annotations

from collections.abc import Hashable

import msgspec

INITIAL_SECONDS = 10.0
MAX_SECONDS = 300.0


class _Entry(msgspec.Struct):
    delay: float
    updated: float


class Backoff:
    """Delays by key. Owned by one component; never shared between event loops."""

    def __init__(self, initial: float = INITIAL_SECONDS, maximum: float = MAX_SECONDS) -> None:
        self._initial = initial
        self._maximum = maximum
        self._entries: dict[Hashable, _Entry] = {}

    def delay(self, key: Hashable) -> float:
        """The present delay of ``key`` in seconds, 0 when there is none."""
        entry = self._entries.get(key)
        return entry.delay if entry else 0.0

    def until(self, key: Hashable, event: float) -> float:
        """When the wait that began at ``event`` is over; ``event`` itself when none is due."""
        entry = self._entries.get(key)
        if entry is None or self._expired(event, entry):
            return event
        return event + entry.delay

    def waiting(self, key: Hashable, event: float, now: float) -> bool:
        """Whether, after an event at ``event``, ``key`` still has to wait at ``now``."""
        return now < self.until(key, event)

    def waiting_since_update(self, key: Hashable, now: float) -> bool:
        """Like ``waiting`` with the last ``next`` as the event."""
        entry = self._entries.get(key)
        return (
            entry is not None
            and not self._expired(now, entry)
            and now - entry.updated < entry.delay
        )

    def until_since_update(self, key: Hashable) -> float:
        """When the wait that the last ``next`` began is over; 0 without one."""
        entry = self._entries.get(key)
        return entry.updated + entry.delay if entry else 0.0

    def next(self, key: Hashable, event: float, now: float) -> float:
        """Record one more event; the new delay."""
        entry = self._entries.get(key)
        if entry is None or self._expired(event, entry):
            delay = self._initial
        else:
            delay = min(entry.delay * 2, self._maximum)
        self._entries[key] = _Entry(min(delay, self._maximum), now)
        return delay

    def forget(self, key: Hashable) -> None:
        self._entries.pop(key, None)

    def collect(self, now: float) -> None:
        """Drop expired entries, such as those of deleted pods."""
        for key in [key for key, entry in self._entries.items() if self._expired(now, entry)]:
            del self._entries[key]

    def _expired(self, event: float, entry: _Entry) -> bool:
        return event - entry.updated > self._maximum * 2
