"""What has become of the requests of one flow schema. Pure.

Changed by the filter, read by ``metrics``. Upstream: apiserver ``util/flowcontrol/metrics``.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

# Upper bounds of how long requests waited, in seconds.
BUCKETS: Final = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0)
QUEUE_FULL, LIMIT, TIME_OUT = "queue-full", "concurrency-limit", "time-out"


class Counts:
    """``at_once``: those that were executed without a wait; ``waits``: the others by bucket, by
    whether they were executed in the end."""

    __slots__ = ("at_once", "dispatched", "rejected", "waited", "waits")

    def __init__(self) -> None:
        self.dispatched = self.at_once = 0
        self.rejected: dict[str, int] = {}
        self.waits = {True: [0] * (len(BUCKETS) + 1), False: [0] * (len(BUCKETS) + 1)}
        self.waited = {True: 0.0, False: 0.0}

    def wait(self, executed: bool, seconds: float) -> None:
        """A request has waited."""
        self.waits[executed][bisect_left(BUCKETS, seconds)] += 1
        self.waited[executed] += seconds

    def reject(self, reason: str) -> None:
        """A request was refused."""
        self.rejected[reason] = self.rejected.get(reason, 0) + 1
