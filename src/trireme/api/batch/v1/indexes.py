"""Sets of a job's indexes as text: ``1,3-5,7``.

In: the text and how many indexes there are. Out: intervals, counts; ValueError in the words that
clients see. Called by the rules of jobs and their controller. Upstream: pkg/apis/batch/validation.
"""

from __future__ import annotations

import re
from typing import Final

from trireme.machinery import gotext

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}\Z")


def count(text: str, completions: int) -> int:
    """How many indexes the text names. ValueError for one that is none, or out of order."""
    total, last = 0, None
    for part in text.split(",") if text else ():
        low, high = _interval(part, completions)
        if last is not None and last >= low:
            raise ValueError(f"non-increasing order, previous: {last}, current: {low}")
        total += high - low + 1
        last = high
    return total


def overlap(completed: str, failed: str, completions: int) -> int | None:
    """The first index that both texts name, None where there is none; bad parts are skipped."""
    left, right = _canonical_index(completed, completions), _canonical_index(failed, completions)
    at = other = 0
    while at < len(left) and other < len(right):
        (low, high), (start, end) = left[at], right[other]
        if low <= end and start <= high:
            return max(low, start)
        if low <= start:
            at += 1
        else:
            other += 1
    return None


def _canonical_index(text: str, completions: int) -> list[tuple[int, int]]:
    found = []
    for part in text.split(",") if text else ():
        try:
            found.append(_interval(part, completions))
        except ValueError:
            continue
    return found


def _interval(text: str, completions: int) -> tuple[int, int]:
    ends = text.split("-")
    if len(ends) > 2:
        raise ValueError(
            f"the fragment {gotext.quote(text)} violates the requirement that an index interval "
            "can have at most two parts separated by '-'"
        )
    low = _index(ends[0], completions)
    if len(ends) == 1:
        return low, low
    high = _index(ends[1], completions)
    if low >= high:
        raise ValueError(f"non-increasing order, previous: {low}, current: {high}")
    return low, high


def _index(text: str, completions: int) -> int:
    if not _INTEGER.match(text):
        raise ValueError(f"cannot convert string to integer for index: {gotext.quote(text)}")
    if int(text) >= completions:
        raise ValueError(f"too large index: {gotext.quote(text)}")
    return int(text)
