"""How many seats requests take, by upstream's formulas (SizeBasedListCostEstimate)."""

from __future__ import annotations

import pytest

from trireme import api
from trireme.api.catalog import Catalog
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.fairness import estimate
from trireme.apiserver.fairness.estimate import Statistics
from trireme.apiserver.fairness.seats import Estimate
from trireme.apiserver.fairness.watches import Watches
from trireme.apiserver.request import Request
from trireme.store.contract import Value
from trireme.store.memory import MemoryStore

PODS = "/api/v1/namespaces/a/pods"
RESOURCE = next(one for one in Catalog.of(api).resources if one.plural == "pods")


async def filled(count: int, size: int) -> tuple[Statistics, Endpoint]:
    store, endpoint = MemoryStore(), Endpoint(RESOURCE)
    await store.start()
    for number in range(count):
        # The store writes the revision between the two.
        await store.create(endpoint.key("a", f"p{number:04}"), Value(b"x" * (size - 3), b""))
    return Statistics(store), endpoint


@pytest.mark.parametrize(
    ("query", "seats"),
    [
        # 1,000 objects of 1,000 bytes are a megabyte: ten seats of 100,000 bytes.
        ("", 10),
        ("limit=500", 5),
        ("limit=1", 1),
        ("limit=0", 10),
        ("limit=x", 10),
        (f"limit={'9' * 5000}", 10),
        ("labelSelector=a%3Db", 10),
        ("fieldSelector=metadata.name%3Dp1", 1),
        ("limit=100&continue=abc", 1),
        # Out of the store, with a selector: half of all are looked at.
        ("limit=100&continue=abc&labelSelector=a", 5),
        ("limit=100&resourceVersion=5&labelSelector=a", 5),
        ("limit=100&resourceVersion=0&labelSelector=a", 1),
        ("resourceVersion=5&resourceVersionMatch=Exact&labelSelector=a", 10),
        ("watch=1&resourceVersion=5", 1),
        ("watch=1&resourceVersion=5&sendInitialEvents=true", 10),
        ("watch=1", 10),
        ("watch=1&resourceVersion=0", 10),
    ],
)
async def test_lists(query: str, seats: int) -> None:
    statistics, endpoint = await filled(1000, 1000)
    request = Request("GET", PODS, query)
    assert estimate.of_list(request, endpoint, statistics, 100) == Estimate(seats)
    assert estimate.of_list(request, endpoint, statistics, 4) == Estimate(min(seats, 4))
    assert estimate.of_list(request, None, statistics, 100) == Estimate(1)


async def test_what_is_streamed_takes_ten_seats_at_most() -> None:
    statistics, endpoint = await filled(100, 100_000)
    assert estimate.of_list(Request("GET", PODS), endpoint, statistics, 100) == Estimate(10)
    exact = Request("GET", PODS, "resourceVersion=5&resourceVersionMatch=Exact")
    assert estimate.of_list(exact, endpoint, statistics, 100) == Estimate(100)


async def test_sizes_follow_the_number_of_objects() -> None:
    statistics, endpoint = await filled(0, 1000)
    assert statistics.of(endpoint) == (0, 0)
    statistics, endpoint = await filled(10, 1000)
    assert statistics.of(endpoint)[0] == 10
    assert 990 <= statistics.of(endpoint)[1] <= 1010


def watching(watches: Watches, path: str, count: int, query: str = "watch=1") -> None:
    for _ in range(count):
        watches.begin(Request("GET", path, query))


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, Estimate(1)),
        (9, Estimate(1)),
        (10, Estimate(1, 1, 0.005)),
        (95, Estimate(1, 10, 0.005)),
        # No more than ten seats, for as much longer.
        (1000, Estimate(1, 10, 0.05)),
    ],
)
def test_writes_by_their_watchers(count: int, expected: Estimate) -> None:
    watches = Watches()
    watching(watches, PODS, count)
    found = estimate.of_write(Request("POST", PODS), watches, 10)
    assert found[:2] == expected[:2]
    assert found.latency == pytest.approx(expected.latency)


def test_who_is_told_of_a_write() -> None:
    watches = Watches()
    watching(watches, "/api/v1/pods", 1)
    watching(watches, PODS, 2)
    watching(watches, f"{PODS}/x", 4, "watch=1&fieldSelector=metadata.name%3Dx")
    watching(watches, "/api/v1/namespaces/b/pods", 8)
    watching(watches, "/api/v1/pods", 16, "watch=1&fieldSelector=spec.nodeName%3Dn")
    watching(watches, "/api/v1/services", 32)
    assert watches.interested(Request("PUT", f"{PODS}/x").info) == 7
    assert watches.interested(Request("POST", PODS).info) == 3
    end = watches.begin(Request("GET", PODS, "watch=1"))
    assert end is not None
    end()
    assert watches.interested(Request("POST", PODS).info) == 3


def test_a_token_tells_nobody() -> None:
    watches = Watches()
    accounts = "/api/v1/namespaces/a/serviceaccounts"
    watching(watches, accounts, 50)
    assert estimate.of_write(Request("POST", f"{accounts}/x/token"), watches, 10) == Estimate(1)
