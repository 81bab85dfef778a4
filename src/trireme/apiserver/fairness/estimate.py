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
    limit = _limit(request)
    version, from_store = request.param("resourceVersion"), False
    if request.info.verb == "watch":
        if not request.flag("sendInitialEvents") and version not in ("", "0"):
            return ONE
    else:
        from_store = _is_from_store(request, version, limit)
    if endpoint is None:
        return ONE
    count, size = statistics.of(endpoint)
    objects = min(limit, count) if limit else count
    if request.info.name:
        objects = 1
    elif from_store and (request.param("fieldSelector") or request.param("labelSelector")):
        objects = max(objects, count // 2)
    amount = objects * size
    return Estimate(_seats(amount if from_store else min(amount, _MOST_STREAMED), most))


def _limit(request: Request) -> int:
    """How many objects are asked for; 0: all, or a number that the list itself refuses."""
    text = request.param("limit")
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def _is_from_store(request: Request, version: str, limit: int) -> bool:
    """Whether upstream would read etcd, not its cache: pages, and lists at an exact revision."""
    match = request.param("resourceVersionMatch")
    if match:
        return match != "NotOlderThan"
    return bool(request.param("continue")) or (limit > 0 and version not in ("", "0"))


def _seats(amount: int, most: int) -> int:
    return max(1, min(math.ceil(amount / _BYTES_PER_SEAT), most))


def of_write(request: Request, watches: Watches, most: int) -> Estimate:
    """Of what changes objects, whose watchers are notified afterwards."""
    info = request.info
    count = watches.interested(info)
    if count < _WATCHES_PER_SEAT or info.subresource == "token":
        return ONE
    seats = math.ceil(count / _WATCHES_PER_SEAT)
    final = min(seats, most)
    return Estimate(1, final, seats * _EVENT_TIME / final)


def is_write(verb: str) -> bool:
    """Whether watchers are notified of it."""
    return verb in _WRITES
