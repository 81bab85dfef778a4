"""What an operator sets about requests under load; the defaults are upstream's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FairnessSettings:
    """``enabled``: ``--enable-priority-and-fairness``; without it only the two limits on requests
    in flight hold. ``request_timeout``: ``--request-timeout`` in seconds."""

    enabled: bool = True
    request_timeout: float = 60.0
