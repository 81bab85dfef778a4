"""Fair queuing does what its slow and obvious form does, and shares seats fairly."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from trireme.apiserver.fairness import seats
from trireme.apiserver.fairness.queueset import QueueSet, Queuing, is_waiting
from trireme.apiserver.fairness.seats import Estimate, Ticket


class Model:
    """KEP-1040 with loops over everything, and nothing kept that can be counted."""

    def __init__(self, queuing: Queuing, limit: int) -> None:
        self.queuing, self.limit = queuing, limit
        self.queues: list[list[dict[str, Any]]] = [[] for _ in range(queuing.queues)]
        self.next = [0] * queuing.queues
        self.now = 0.0
        self.progress = 0
        self.robin = self.arrived = 0

    def sync(self, now: float) -> None:
        active = sum(any(r["state"] != "lingers" for r in queue) for queue in self.queues)
        everyone = [request for queue in self.queues for request in queue]
        if active and now > self.now:
            taken = min(sum(r["seats"] for r in everyone), self.limit)
            self.progress += round(taken / active * (now - self.now) * seats.SCALE)
        self.now = now

    def executing(self) -> list[Any]:
        return [r for queue in self.queues for r in queue if r["state"] != "waits"]

    def fits(self, wanted: int) -> bool:
        if wanted > self.limit:
            return not any(r["state"] == "executes" for r in self.executing())
        return sum(r["seats"] for r in self.executing()) + wanted <= self.limit

    def waiting(self, index: int) -> list[Any]:
        return [r for r in self.queues[index] if r["state"] == "waits"]

    def start(self, now: float, name: int, width: int, hand: Sequence[int]) -> bool:
        self.sync(now)
        order = [hand[(self.arrived + i) % len(hand)] for i in range(len(hand))]
        self.arrived += 1
        index = min(order, key=lambda i: sum(r["work"] for r in self.waiting(i)))
        taken = sum(r["seats"] for r in self.executing())
        if taken >= self.limit and len(self.waiting(index)) >= self.queuing.length_limit:
            return False
        if all(r["state"] == "lingers" for r in self.queues[index]):
            self.next[index] = self.progress
        work = round(width * seats.SERVICE_TIME * seats.SCALE)
        self.queues[index].append(
            {"name": name, "seats": width, "work": work, "state": "waits", "at": self.progress}
        )
        self.bound(index)
        self.dispatch(now)
        return True

    def bound(self, index: int) -> None:
        if self.waiting(index):
            self.next[index] = max(self.next[index], self.waiting(index)[0]["at"])

    def dispatch(self, now: float) -> None:
        while sum(r["seats"] for r in self.executing()) < self.limit:
            size = len(self.queues)
            order = [(self.robin + 1 + i) % size for i in range(size)]
            ready = [i for i in order if self.waiting(i)]
            if not ready:
                return
            index = min(ready, key=lambda i: self.next[i] + self.waiting(i)[0]["work"])
            first = self.waiting(index)[0]
            if not self.fits(first["seats"]):
                return
            first["state"], first["since"] = "executes", now
            self.robin = index
            self.next[index] += first["work"]
            self.bound(index)

    def leave(self, now: float, name: int) -> None:
        self.sync(now)
        for index, queue in enumerate(self.queues):
            for request in queue:
                if request["name"] != name:
                    continue
                queue.remove(request)
                if request["state"] == "executes":
                    early = seats.SERVICE_TIME - (now - request["since"])
                    self.next[index] -= seats.work(request["seats"], early)
                self.bound(index)
                self.dispatch(now)
                return


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["start", "start", "start", "leave"]),
        # A millisecond is a third of what a request is taken to last.
        st.integers(0, 20),
        st.integers(1, 4),
        st.integers(0, 5),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(limit=st.integers(1, 6), steps=STEPS)
def test_as_the_model(limit: int, steps: list[tuple[str, int, int, int]]) -> None:
    queuing = Queuing(4, 2, 3)
    queues, model = QueueSet(0.0), Model(queuing, limit)
    queues.configure(0.0, queuing, limit)
    alive: dict[int, Ticket] = {}
    now = 0.0
    for name, (kind, later, width, which) in enumerate(steps):
        now += later / 1000
        if kind == "start":
            ticket = Ticket(Estimate(width))
            hand = (which % 4, (which + 1) % 4)
            admitted = queues.start(now, ticket, hand)
            assert admitted == model.start(now, name, width, hand)
            if admitted:
                alive[name] = ticket
        elif alive:
            gone = sorted(alive)[which % len(alive)]
            ticket = alive.pop(gone)
            if is_waiting(ticket):
                queues.cancel(now, ticket)
            else:
                assert queues.finish(now, ticket) == 0.0
            model.leave(now, gone)
        waiting = {name for name, ticket in alive.items() if is_waiting(ticket)}
        expected = {r["name"] for i in range(4) for r in model.waiting(i)}
        assert waiting == expected
        assert queues.progress == model.progress
        assert [queue.next_dispatch for queue in queues.queues if queue.waiting] == [
            model.next[i] for i in range(4) if model.waiting(i)
        ]
        assert queues.seats_in_use == sum(r["seats"] for r in model.executing())


def test_flows_share_what_they_want_equally() -> None:
    """One flow sends ten times as much as the other; both get half."""
    queues = QueueSet(0.0)
    queues.configure(0.0, Queuing(8, 1, 1000), 4)
    served = {0: 0, 1: 0}
    flows: dict[Ticket, int] = {}
    for flow, count in ((0, 500), (1, 50)):
        for _ in range(count):
            ticket = Ticket(Estimate())
            flows[ticket] = flow
            queues.start(0.0, ticket, (flow,))
    now = 0.0
    for _ in range(25):
        now += 0.01
        for ticket in [one for queue in queues.queues for one in queue.executing]:
            queues.finish(now, ticket)
            served[flows[ticket]] += 1
    assert abs(Fraction(served[0], served[1]) - 1) < Fraction(1, 5), served


def test_a_wide_request_comes_to_its_turn() -> None:
    queues = QueueSet(0.0)
    queues.configure(0.0, Queuing(2, 1, 10), 4)
    narrow = [Ticket(Estimate()) for _ in range(4)]
    for ticket in narrow:
        queues.start(0.0, ticket, (0,))
    wide, late = Ticket(Estimate(4)), Ticket(Estimate())
    queues.start(0.0, wide, (1,))
    queues.start(0.1, late, (0,))
    for ticket in narrow:
        assert is_waiting(wide)
        queues.finish(0.2, ticket)
    assert not is_waiting(wide)
    assert is_waiting(late)


def test_seats_linger_after_a_write_that_watchers_are_told_of() -> None:
    queues = QueueSet(0.0)
    queues.configure(0.0, Queuing(1, 1, 10), 2)
    ticket, next_one = Ticket(Estimate(1, 2, 0.05)), Ticket(Estimate())
    queues.start(0.0, ticket, (0,))
    queues.start(0.0, next_one, (0,))
    assert queues.finish(0.1, ticket) == 0.05
    assert is_waiting(next_one)
    queues.release(0.15, ticket)
    assert not is_waiting(next_one)
    assert queues.seats_in_use == 1


def test_without_queues_what_does_not_fit_is_refused() -> None:
    queues = QueueSet(0.0)
    queues.configure(0.0, Queuing(0), 1)
    assert queues.start(0.0, Ticket(Estimate()), ())
    assert not queues.start(0.0, Ticket(Estimate()), ())


def test_queues_too_many_go_when_they_are_empty() -> None:
    queues = QueueSet(0.0)
    queues.configure(0.0, Queuing(4, 1, 10), 8)
    tickets = [Ticket(Estimate()) for _ in range(4)]
    for index, ticket in enumerate(tickets):
        queues.start(0.0, ticket, (index,))
    queues.configure(0.0, Queuing(2, 1, 10), 8)
    assert len(queues.queues) == 4
    for ticket in reversed(tickets):
        queues.finish(1.0, ticket)
    assert [queue.index for queue in queues.queues] == [0, 1]


def test_what_is_exempt_is_counted() -> None:
    queues = QueueSet(0.0)
    for request in range(3):
        queues.enter(0.0, request)
    queues.leave(0)
    assert (queues.most_exempt(), queues.is_idle) == (3, False)
    assert queues.most_exempt() == 2
