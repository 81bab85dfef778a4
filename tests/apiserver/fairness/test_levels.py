"""Priority levels: how seats are divided and borrowed, and which requests belong where."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trireme.api.flowcontrol.v1 import prioritylevel_types as types
from trireme.apiserver.bootstrap import fairness
from trireme.apiserver.fairness import allocate, shuffle
from trireme.apiserver.fairness.allocate import Demand
from trireme.apiserver.fairness.levels import PERIOD, Levels
from trireme.apiserver.fairness.retry_after import RetryAfter
from trireme.apiserver.fairness.seats import Estimate, Ticket
from trireme.apiserver.request import User, parse

ACCOUNT = "system:serviceaccount:{}:x"


def levels(limit: int = 600, now: float = 0.0) -> Levels:
    made = Levels(limit, now)
    made.configure(fairness.priority_levels(), fairness.flow_schemas(), now)
    return made


def user(name: str, *groups: str) -> User:
    return User(name, groups=(*groups, "system:authenticated"))


def test_nominal_seats_are_upstreams() -> None:
    found = levels().by_name
    assert {name: level.nominal for name, level in found.items()} == {
        "catch-all": 13, "exempt": 0, "global-default": 49, "leader-election": 25, "node-high": 98,
        "system": 74, "workload-high": 98, "workload-low": 245,
    }  # fmt: skip
    assert {name: level.least for name, level in found.items()} == {
        "catch-all": 13, "exempt": 0, "global-default": 24, "leader-election": 25, "node-high": 73,
        "system": 50, "workload-high": 49, "workload-low": 24,
    }  # fmt: skip
    # Upstream's formula; of a list no more than the smaller of 15 % and a flow's part.
    assert (found["workload-low"].list_seats, found["workload-low"].write_seats) == (37, 10)


@pytest.mark.parametrize(
    ("who", "method", "path", "schema", "level"),
    [
        (user("root", "system:masters"), "GET", "/api/v1/pods", "exempt", "exempt"),
        (user("jo"), "GET", "/healthz", "probes", "exempt"),
        (user("jo"), "GET", "/api/v1/pods", "global-default", "global-default"),
        (
            user("system:kube-scheduler"), "PUT",
            "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x",
            "system-leader-election", "leader-election",
        ),
        (
            user("system:kube-scheduler"), "GET", "/api/v1/pods", "kube-scheduler",
            "workload-high",
        ),
        (
            user("system:node:a", "system:nodes"), "PATCH", "/api/v1/nodes/a/status",
            "system-node-high", "node-high",
        ),
        (user("system:node:a", "system:nodes"), "GET", "/api/v1/pods", "system-nodes", "system"),
        (
            user(ACCOUNT.format("kube-system")), "GET", "/api/v1/pods",
            "kube-system-service-accounts", "workload-high",
        ),
        (
            user(ACCOUNT.format("a"), "system:serviceaccounts"), "GET", "/api/v1/pods",
            "service-accounts", "workload-low",
        ),
        (User("stranger"), "GET", "/api/v1/pods", "catch-all", "catch-all"),
    ],
)  # fmt: skip
def test_where_a_request_belongs(
    who: User, method: str, path: str, schema: str, level: str
) -> None:
    flow = levels().flow(who, parse(method, path, {}))
    assert (flow.schema.metadata.name, flow.level.name) == (schema, level)


def test_flows_are_told_apart_as_the_schema_says() -> None:
    made = levels()
    info = parse("GET", "/api/v1/namespaces/a/pods", {})
    one, two = made.flow(user("jo"), info), made.flow(user("flo"), info)
    assert (one.distinguisher, two.distinguisher) == ("jo", "flo")
    assert one.hand != two.hand
    scheduler = made.flow(user("system:kube-scheduler"), info)
    assert scheduler.distinguisher == "a"


def _level(name: str, shares: int) -> types.PriorityLevelConfiguration:
    made = fairness.priority_levels()[0]
    assert made.spec.limited is not None
    made.metadata.name, made.spec.limited.nominalConcurrencyShares = name, shares
    return made


def test_what_refers_to_nothing_is_left_out_and_what_is_mandatory_stays() -> None:
    made = Levels(600, 0.0)
    assert set(made.by_name) == {"exempt", "catch-all"}
    made.configure([], fairness.flow_schemas(), 0.0)
    flow = made.flow(user("jo"), parse("GET", "/api/v1/pods", {}))
    assert (flow.schema.metadata.name, flow.level.name) == ("catch-all", "catch-all")


def test_a_level_without_an_object_goes_when_it_has_drained() -> None:
    made = levels()
    busy = Ticket(Estimate())
    level = made.by_name["system"]
    level.queues.start(0.0, busy, (0,))
    rest = [one for one in fairness.priority_levels() if one.metadata.name != "system"]
    made.configure(rest, fairness.flow_schemas(), 1.0)
    assert made.by_name["system"].quiescing
    assert not made.has_drained
    level.queues.finish(2.0, busy)
    assert made.has_drained
    made.configure(rest, fairness.flow_schemas(), 3.0)
    assert "system" not in made.by_name


def test_a_busy_level_borrows_what_others_do_not_use() -> None:
    made = levels()
    busy, idle = made.by_name["global-default"], made.by_name["workload-low"]
    for _ in range(400):
        busy.queues.start(1.0, Ticket(Estimate()), tuple(range(6)))
    before = busy.queues.requests_executing
    made.adjust(PERIOD)
    assert busy.current > busy.nominal
    assert idle.current >= idle.least
    assert sum(level.current for level in made.by_name.values()) <= 610
    assert busy.queues.requests_executing > before


def test_many_missed_periods_are_as_many_adjustments() -> None:
    one, other = levels(), levels()
    for made in (one, other):
        made.by_name["system"].queues.start(0.0, Ticket(Estimate(50)), (0,))
    for step in range(1, 8):
        one.adjust(step * PERIOD)
    other.adjust(7 * PERIOD)
    assert [level.current for level in one.by_name.values()] == [
        level.current for level in other.by_name.values()
    ]
    other.adjust(1e9)
    assert other.next_adjustment > 1e9


@given(
    st.lists(st.tuples(*[st.integers(0, 100)] * 3), min_size=1, max_size=6),
    st.floats(0, 1, allow_nan=False),
)
def test_allocation(given_demands: list[tuple[int, int, int]], part: float) -> None:
    demands = [Demand(low, low + more, low + want) for low, more, want in given_demands]
    low, high = sum(one.low for one in demands), sum(one.high for one in demands)
    total = low + (high - low) * part
    shares = allocate.allocate(total, demands)
    assert sum(shares) == pytest.approx(total)
    parts = []
    for share, one in zip(shares, demands, strict=True):
        assert one.low - 1e-6 <= share <= one.high + 1e-6
        if one.low + 1e-6 < share < one.high - 1e-6:
            parts.append(share / max(one.target, 0.001))
    # Who is at no bound has the same part of what it would like.
    assert all(each == pytest.approx(parts[0]) for each in parts)


@given(st.integers(0, 2**64 - 1), st.integers(1, 200), st.integers(1, 8))
def test_a_hand_is_of_different_queues(value: int, queues: int, size: int) -> None:
    size = min(size, queues)
    dealt = shuffle.hand(value, queues, size)
    assert len(set(dealt)) == size
    assert all(0 <= each < queues for each in dealt)


def test_every_hand_is_as_likely() -> None:
    hands = [shuffle.hand(value, 5, 3) for value in range(60)]
    assert len(set(hands)) == 60


def test_who_is_refused_often_is_told_to_wait_longer() -> None:
    after = RetryAfter()
    seen: list[Any] = []
    for second in range(100, 110):
        for _ in range(4 * after.seconds):
            after.refused(second)
        seen.append(after.seconds)
    assert seen == [1, 2, 2, 4, 4, 4, 4, 8, 8, 8]
    for second in range(200, 400, 40):
        after.refused(second)
    assert after.seconds == 3
