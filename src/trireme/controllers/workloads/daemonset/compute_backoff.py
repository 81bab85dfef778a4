"""How soon a pod that failed on a node is deleted and replaced, the next time. Pure.

A node may refuse a pod as often as it comes: the delay doubles from one second to 15 minutes, and
is forgotten after twice as long without a failure. Called by ``plan``. Upstream: failedPodsBackoff
in pkg/controller/daemon.
"""

from __future__ import annotations

import msgspec

FIRST, LONGEST = 1.0, 900.0


class Backoff(msgspec.Struct, frozen=True):
    """The delay since the last deletion ``at``, in seconds."""

    delay: float
    at: float


def remaining(backoff: Backoff | None, now: float) -> float:
    """Seconds until the pod may be deleted; 0 when it may be now."""
    if backoff is None or is_over(backoff, now):
        return 0.0
    return max(0.0, backoff.at + backoff.delay - now)


def after(backoff: Backoff | None, now: float) -> Backoff:
    """The state once a pod was deleted now."""
    if backoff is None or is_over(backoff, now):
        return Backoff(FIRST, now)
    return Backoff(min(2 * backoff.delay, LONGEST), now)


def is_over(backoff: Backoff, now: float) -> bool:
    """Whether nothing failed for so long that it may be forgotten."""
    return now - backoff.at > 2 * LONGEST
