"""Looking at a key not too often: what changes in the meantime is seen together.

In: when a key was looked at, and for how long that is enough. Out: how long the next look waits,
for ``Controller.watch``. Used by controllers whose one look costs as much as all their pods.
"""

from __future__ import annotations

from trireme.kit.clock import Clock
from trireme.runtime.keys import Key


class Pace:
    """The keys of one controller."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # On the monotonic clock.
        self._next: dict[Key, float] = {}

    def looked(self, key: Key, seconds: float) -> None:
        """The key is looked at now; for so many seconds that is enough."""
        self._next[key] = self._clock.monotonic() + seconds

    def delay(self, key: Key) -> float:
        """Seconds until the key may be looked at again; not more than 0 when it may be now."""
        return self._next.get(key, 0.0) - self._clock.monotonic()

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self._next.pop(key, None)
