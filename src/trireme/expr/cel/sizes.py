"""Ranges of sizes and costs, and the arithmetic on them: sums and products stop at 2**64 - 1.

Called by: ``estimate`` and ``library_costs``. Rules: cel-go ``checker/cost``, ``common/cost``.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

LIMIT: Final = (1 << 64) - 1
TRAVERSAL: Final = 0.1
REGEX: Final = 0.25
LIST_BASE: Final = 10
MAP_BASE: Final = 30
STRUCT_BASE: Final = 40


class Range(NamedTuple):
    """A size or a cost that is at least ``min`` and at most ``max``."""

    min: int
    max: int

    def plus(self, other: Range) -> Range:
        """The sum."""
        return Range(min(self.min + other.min, LIMIT), min(self.max + other.max, LIMIT))

    def times(self, other: Range) -> Range:
        """The product."""
        return Range(min(self.min * other.min, LIMIT), min(self.max * other.max, LIMIT))

    def scaled(self, factor: float) -> Range:
        """Multiplied and rounded up."""
        return Range(scale(self.min, factor), scale(self.max, factor))

    def union(self, other: Range) -> Range:
        """What covers both."""
        return Range(min(self.min, other.min), max(self.max, other.max))


def scale(n: int, factor: float) -> int:
    """``n * factor`` in floating point, rounded up."""
    x = float(n)
    if x > 0 and factor > 0 and x > 18446744073709551615.0 / factor:
        return LIMIT
    up = math.ceil(x * factor)
    return LIMIT if up >= 1 << 64 else up


def fixed(n: int) -> Range:
    """Exactly ``n``."""
    return Range(n, n)


ZERO: Final = Range(0, 0)
ONE: Final = Range(1, 1)
UNKNOWN: Final = Range(0, LIMIT)


class Estimate(NamedTuple):
    """What a call costs, and how large its result is when that can be said."""

    cost: Range
    size: Range | None = None
