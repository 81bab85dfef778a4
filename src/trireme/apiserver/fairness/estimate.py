"""How many seats a request takes.

In: a request, and how many objects of what size there are, which ``Statistics`` reads off the
store. Out: an ``Estimate``. Called by the filter. Upstream: apiserver ``util/flowcontrol/request``
(list_work_estimator with SizeBasedListCostEstimate, mutating_work_estimator).
"""

from __future__ import annotations

import math
from typing import Final

from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.fairness.seats import ONE, Estimate
from trireme.apiserver.fairness.watches import Watches
from trireme.apiserver.request import Request
from trireme.store.contract import Store

MOST_LIST_SEATS: Final = 100
MOST_WRITE_SEATS: Final = 10
_WATCHES_PER_SEAT: Final = 10
# Seconds that telling watchers takes.
_EVENT_TIME: Final = 0.005
_BYTES_PER_SEAT: Final = 100_000
_MOST_STREAMED: Final = 1_000_000
_SAMPLE: Final = 20
_WRITES: Final = frozenset({"create", "update", "patch", "delete"})


class Statistics:
    """Number and mean size of a kind's objects; the size is measured again when the number has
    changed much."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sizes: dict[str, tuple[int, int]] = {}

    def of(self, endpoint: Endpoint) -> tuple[int, int]:
        """Objects, and bytes each."""
        root = endpoint.root
        count = self._store.count(root)
        known = self._sizes.get(root)
        if known is None or not known[0] <= 2 * count <= 4 * known[0]:
            items = self._store.list(root, limit=_SAMPLE).items
            size = sum(len(item.value) for item in items) // len(items) if items else 0
            known = self._sizes[root] = count, size
        return count, known[1]


def of_list(
    request: Request, endpoint: Endpoint | None, statistics: Statistics, most: int
) -> Estimate:
    """Of a list, or of a watch that begins with what is there. ``endpoint`` is None where it is not
    known here what is listed."""
    if not request.query and request.info.verb == "list":
        if endpoint is None:
            return ONE
        count, size = statistics.of(endpoint)
        return Estimate(_seats(min(count * size, _MOST_STREAMED), most))
    if request.info.verb == "watch":
        version = request.param("resourceVersion")
        if request.param("sendInitialEvents") != "true" and version not in ("", "0"):
            return ONE
    if endpoint is None:
        return ONE
    count, size = statistics.of(endpoint)
    limit = request.param("limit")
    limited = min(int(limit), count) if limit.isdecimal() and int(limit[:9]) else count
    if request.info.name:
        limited = 1
    elif _from_store(request) and (
        request.param("fieldSelector") or request.param("labelSelector")
    ):
        limited = max(limited, count // 2)
    amount = limited * size
    if not _from_store(request):
        amount = min(amount, _MOST_STREAMED)
    return Estimate(_seats(amount, most))


def _from_store(request: Request) -> bool:
    """Whether upstream would read the store, not its cache: pages at an exact revision."""
    return request.info.verb == "list" and (
        bool(request.param("continue")) or request.param("resourceVersionMatch") == "Exact"
    )


def _seats(amount: int, most: int) -> int:
    return max(1, min(math.ceil(amount / _BYTES_PER_SEAT), most))


def of_write(request: Request, watches: Watches, most: int) -> Estimate:
    """Of what changes objects, whose watchers are told afterwards."""
    info = request.info
    count = watches.interested(info)
    if count < _WATCHES_PER_SEAT or info.subresource == "token":
        return ONE
    seats = math.ceil(count / _WATCHES_PER_SEAT)
    final = min(seats, most)
    return Estimate(1, final, seats * _EVENT_TIME / final)


def is_write(verb: str) -> bool:
    """Whether watchers are told of it."""
    return verb in _WRITES
