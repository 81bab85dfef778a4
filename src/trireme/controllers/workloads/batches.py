"""Slow start: many similar writes in batches of one, then two, four, eight.

In: how many, and the coroutine that does one. Out: how many succeeded, and the first error. When
one fails, no further batch is begun: a quota or a bad template costs a few requests, not hundreds.
Upstream: slow start in pkg/controller/replicaset.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

FIRST, LARGEST = 1, 500


async def slow_start(
    count: int, call: Callable[[], Awaitable[None]]
) -> tuple[int, Exception | None]:
    """Call ``call`` so many times, in growing batches."""
    done, size = 0, min(count, FIRST)
    while size:
        good, failure = await all_at_once(call for _ in range(size))
        done += good
        if failure is not None:
            return done, failure
        size = min(2 * size, count - done, LARGEST)
    return done, None


async def all_at_once(
    calls: Iterable[Callable[[], Awaitable[None]]],
) -> tuple[int, Exception | None]:
    """Run all of them concurrently; wait for all, whatever fails."""
    results = await asyncio.gather(*(call() for call in calls), return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    for failure in failures:
        if not isinstance(failure, Exception):
            raise failure
    good = len(results) - len(failures)
    return good, next((item for item in failures if isinstance(item, Exception)), None)
