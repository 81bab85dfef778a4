"""Sharing seats among priority levels between bounds, by their demand. Pure.

In: for each level the least and the most it may have and what it would like, and the sum. Out: the
shares: all the same part of what the levels would like, but for those at a bound. Called by
``levels``. Upstream: apiserver ``util/flowcontrol/conc_alloc.go``; KEP-1040 "dispatching between
priority levels".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

_LEAST_TARGET: Final = 0.001


class Demand(NamedTuple):
    """``low <= target`` and ``low <= high``."""

    low: float
    high: float
    target: float


def allocate(total: float, demands: Sequence[Demand]) -> list[float]:
    """The shares, which sum to ``total``. ValueError where the bounds do not allow that."""
    targets = [max(item.target, _LEAST_TARGET) for item in demands]
    low, high = sum(item.low for item in demands), sum(item.high for item in demands)
    if low > total + 1e-7 or high < total - 1e-7:
        raise ValueError(f"{total} is not between {low} and {high}")

    def shares(part: float) -> list[float]:
        return [
            max(item.low, min(item.high, part * target))
            for item, target in zip(demands, targets, strict=True)
        ]

    # The sum grows with the part, in straight lines between the bounds.
    before = 0.0
    bounds = (
        bound / target
        for item, target in zip(demands, targets, strict=True)
        for bound in (item.low, item.high)
    )
    for part in sorted(bounds):
        if sum(shares(part)) >= total:
            first, last = sum(shares(before)), sum(shares(part))
            if last > first:
                part = before + (part - before) * (total - first) / (last - first)
            return shares(part)
        before = part
    return [item.high for item in demands]
