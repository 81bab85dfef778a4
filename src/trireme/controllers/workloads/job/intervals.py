"""Sets of completion indexes as ordered intervals, the form that a Job's status has them in. Pure.

In and out: ``((0, 4), (7, 7))``, both ends included; as text ``0-4,7``. Called by
``compute_indexes`` and ``compute_status``. Reading is lenient: what is no interval is skipped,
indexes beyond the completions are cut off. Upstream: pkg/controller/job/indexed_job_utils.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

Intervals = tuple[tuple[int, int], ...]


def parse(text: str, completions: int) -> Intervals:
    """The intervals below ``completions``."""
    found: list[tuple[int, int]] = []
    for part in text.split(",") if text else ():
        ends = part.split("-")
        if not all(end.isascii() and end.isdigit() for end in ends[:2]):
            continue
        first = int(ends[0])
        if first >= completions:
            break
        last = min(int(ends[1]), completions - 1) if len(ends) > 1 else first
        if found and found[-1][1] == first - 1:
            first = found.pop()[0]
        found.append((first, last))
    return tuple(found)


def of(indexes: Iterable[int]) -> Intervals:
    """The indexes, in any order."""
    return merge((index, index) for index in sorted(indexes))


def merge(*many: Iterable[tuple[int, int]]) -> Intervals:
    """What any of them has."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(interval for intervals in many for interval in intervals):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return tuple(found)


def text(intervals: Intervals) -> str:
    """``1,3-5``; two neighbours are written one by one."""
    parts = []
    for first, last in intervals:
        if first == last:
            parts.append(str(first))
        else:
            parts.append(f"{first}{',' if last == first + 1 else '-'}{last}")
    return ",".join(parts)


def total(intervals: Intervals) -> int:
    """How many indexes there are."""
    return sum(last - first + 1 for first, last in intervals)


def has(intervals: Intervals, index: int) -> bool:
    """Whether the index is among them."""
    position = bisect_left(intervals, index, key=lambda interval: interval[1])
    return position < len(intervals) and intervals[position][0] <= index


def missing(intervals: Intervals, completions: int) -> Iterator[int]:
    """The indexes below ``completions`` that are not among them, lowest first."""
    candidate = 0
    for first, last in intervals:
        yield from range(candidate, min(first, completions))
        candidate = max(candidate, last + 1)
    yield from range(candidate, completions)


def overlap(one: Intervals, other: Intervals) -> int:
    """How many indexes both have."""
    count, left, right = 0, 0, 0
    while left < len(one) and right < len(other):
        (low, high), (start, end) = one[left], other[right]
        count += max(0, min(high, end) - max(low, start) + 1)
        left, right = left + (high <= end), right + (end <= high)
    return count
