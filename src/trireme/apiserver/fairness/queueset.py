"""Fair queuing for one priority level. Pure: time comes in with every call.

In: tickets that arrive, leave and end, with the time in seconds. Out: which are executed, wait or
are refused. Of the queues that have waiting requests, the one is served whose oldest would end
first in a world where all queues share the seats equally; how far that world has come is
``progress``. Called by ``levels``; ``tests/apiserver/fairness/model.py`` is the slow form.
Upstream: apiserver ``util/flowcontrol/fairqueuing/queueset``; KEP-1040.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from trireme.apiserver.fairness import seats as units
from trireme.apiserver.fairness.integrator import Integrator
from trireme.apiserver.fairness.seats import Estimate, Ticket

EXEMPT: Final = -1


class Queuing(NamedTuple):
    """``queues``: how many; 0: what cannot be executed is refused; EXEMPT: nothing is limited, and
    tickets are not used."""

    queues: int
    hand_size: int = 0
    length_limit: int = 0


class Queue:
    """The waiting and the executing tickets of one queue. ``next_dispatch`` is the progress at
    which its next ticket begins in the fair world; ``waiting_work`` is the sum of their work."""

    __slots__ = ("executing", "index", "next_dispatch", "seats_in_use", "waiting", "waiting_work")

    def __init__(self, index: int) -> None:
        self.index = index
        self.waiting: deque[Ticket] = deque()
        self.executing: set[Ticket] = set()
        self.next_dispatch = 0
        self.seats_in_use = 0
        self.waiting_work = 0


class QueueSet:
    """The queues of one level, and its limit of seats."""

    def __init__(self, now: float) -> None:
        self.queuing = Queuing(0)
        self.limit = 0
        self.queues: list[Queue] = []
        self.progress = 0
        # Executing without a queue.
        self.executing: set[Ticket] = set()
        # What is exempt from all limits, with its arrival: only counted.
        self.exempt: dict[Any, float] = {}
        self._most_exempt = 0
        self.requests_waiting = 0
        self.requests_executing = 0
        self.seats_in_use = 0
        self.seats_waiting = 0
        self.demand = Integrator(now)
        self.dispatched = self.rejected = self.cancelled = 0
        self._now = now
        # Queues that have tickets, waiting or executing.
        self._active = 0
        # Queues that have waiting tickets.
        self._waiting: set[Queue] = set()
        self._robin = 0
        self._enqueued = 0

    def configure(self, now: float, queuing: Queuing, limit: int) -> None:
        """From now on so many queues and seats. Queues too many go when they are empty."""
        self._sync(now)
        for index in range(len(self.queues), queuing.queues):
            self.queues.append(Queue(index))
        if queuing.queues <= 0:
            queuing = Queuing(queuing.queues, self.queuing.hand_size, self.queuing.length_limit)
        self.queuing, self.limit = queuing, limit
        self._dispatch_all(now)

    @property
    def is_idle(self) -> bool:
        return not (self.requests_waiting or self.requests_executing or self.exempt)

    def enter(self, now: float, request: Any) -> None:
        """A request of an exempt level begins."""
        self.exempt[request] = now
        self.dispatched += 1
        if len(self.exempt) > self._most_exempt:
            self._most_exempt = len(self.exempt)

    def leave(self, request: Any) -> None:
        """It has been answered."""
        self.exempt.pop(request, None)

    def most_exempt(self) -> int:
        """How many there were at a time since the last call."""
        most, self._most_exempt = self._most_exempt, len(self.exempt)
        return most

    def start(self, now: float, ticket: Ticket, hand: Sequence[int]) -> bool:
        """Execute or enqueue a ticket; False where it is refused. ``hand`` are its flow's queues.

        It waits where its ``queue`` has it among the waiting: ``is_waiting``.
        """
        self._sync(now)
        ticket.arrived, ticket.arrived_at = now, self.progress
        if self.queuing.queues < 1:
            if not self._fits(ticket.seats):
                self.rejected += 1
                return False
            self.executing.add(ticket)
            self._execute(now, ticket)
            return True
        queue = self._choose(hand)
        if self.seats_in_use >= self.limit and len(queue.waiting) >= self.queuing.length_limit:
            self.rejected += 1
            self._bound(queue)
            return False
        self._enqueue(now, queue, ticket)
        if self.requests_waiting == 1:
            # The only one: there is nothing to compare.
            if self.seats_in_use < self.limit and self._fits(ticket.seats):
                self._dispatch(now, queue)
        else:
            self._dispatch_all(now)
        return True

    def cancel(self, now: float, ticket: Ticket) -> None:
        """A waiting ticket leaves its queue."""
        self._sync(now)
        queue: Queue = ticket.queue
        queue.waiting.remove(ticket)
        self._left(queue, ticket)
        self.rejected += 1
        self.cancelled += 1
        self._set_demand(now)
        if not queue.waiting and not queue.executing:
            self._active -= 1
        self._bound(queue)
        # It may have stood before others that fit.
        self._dispatch_all(now)

    def finish(self, now: float, ticket: Ticket) -> float:
        """An executed ticket has been answered. Its seats are free, or are to be freed by
        ``release`` after so many seconds where that is not 0."""
        self._sync(now)
        self.requests_executing -= 1
        queue: Queue | None = ticket.queue
        if queue is None:
            self.executing.discard(ticket)
        else:
            queue.executing.discard(ticket)
            if not queue.executing and not queue.waiting:
                self._active -= 1
            early = units.SERVICE_TIME - (now - ticket.started)
            queue.next_dispatch -= units.work(ticket.estimate.initial, early)
            self._bound(queue)
        if ticket.estimate.latency > 0:
            # Of those that waited for all others to end, one may fit now.
            self._dispatch_all(now)
            return ticket.estimate.latency
        self._release(now, ticket)
        return 0.0

    def release(self, now: float, ticket: Ticket) -> None:
        """The seats of a ticket that has ended are free."""
        self._sync(now)
        self._release(now, ticket)

    def _release(self, now: float, ticket: Ticket) -> None:
        queue: Queue | None = ticket.queue
        self.seats_in_use -= ticket.seats
        if queue is not None:
            queue.seats_in_use -= ticket.seats
            if len(self.queues) > self.queuing.queues and not (queue.waiting or queue.executing):
                self._remove(queue)
        self._set_demand(now)
        self._dispatch_all(now)

    def _remove(self, queue: Queue) -> None:
        # A queue may be empty twice, when two of its tickets end their latency.
        if queue.index >= len(self.queues) or self.queues[queue.index] is not queue:
            return
        del self.queues[queue.index]
        for later in self.queues[queue.index :]:
            later.index -= 1
        if self._robin >= queue.index:
            self._robin -= 1

    def _sync(self, now: float) -> None:
        """The fair world goes on as fast as its seats allow, shared by the queues."""
        passed = now - self._now
        self._now = now
        if self._active and passed > 0:
            demand = self.seats_in_use + self.seats_waiting
            seats = demand if demand < self.limit else self.limit
            self.progress += round(seats / self._active * passed * units.SCALE)

    def _choose(self, hand: Sequence[int]) -> Queue:
        """Of a flow's queues the one with the least waiting work."""
        size = len(hand)
        offset = self._enqueued % size
        self._enqueued += 1
        best = self.queues[hand[offset]]
        if self.requests_waiting:
            for step in range(1, size):
                other = self.queues[hand[(offset + step) % size]]
                if other.waiting_work < best.waiting_work:
                    best = other
        return best

    def _enqueue(self, now: float, queue: Queue, ticket: Ticket) -> None:
        if not queue.waiting and not queue.executing:
            queue.next_dispatch = self.progress
            self._active += 1
        ticket.queue = queue
        queue.waiting.append(ticket)
        self._waiting.add(queue)
        queue.waiting_work += ticket.work
        self.requests_waiting += 1
        self.seats_waiting += ticket.seats
        self._set_demand(now)
        self._bound(queue)

    def _left(self, queue: Queue, ticket: Ticket) -> None:
        if not queue.waiting:
            self._waiting.discard(queue)
        queue.waiting_work -= ticket.work
        self.requests_waiting -= 1
        self.seats_waiting -= ticket.seats

    def _fits(self, seats: int) -> bool:
        if seats > self.limit:
            # It never fits: it is executed alone.
            return self.requests_executing == 0
        return self.seats_in_use + seats <= self.limit

    def _dispatch_all(self, now: float) -> None:
        while self.requests_waiting and self.seats_in_use < self.limit:
            queue = self._first_to_end()
            if not self._fits(queue.waiting[0].seats):
                # Nobody overtakes it, so that wide requests come to their turn.
                return
            self._dispatch(now, queue)

    def _first_to_end(self) -> Queue:
        """The queue whose oldest waiting ticket ends first in the fair world."""
        size, after = len(self.queues), self._robin + 1

        def order(queue: Queue) -> tuple[int, int]:
            # Of those that end together, the first after the one that was served last.
            end: int = queue.next_dispatch + queue.waiting[0].work
            return end, (queue.index - after) % size

        return min(self._waiting, key=order)

    def _dispatch(self, now: float, queue: Queue) -> None:
        ticket = queue.waiting.popleft()
        self._left(queue, ticket)
        initial, final, latency = ticket.estimate
        if final > self.limit:
            # As much work, with the seats that there are.
            ticket.estimate = Estimate(initial, self.limit, final * latency / self.limit)
            ticket.seats = max(initial, self.limit)
        self._robin = queue.index
        queue.executing.add(ticket)
        queue.seats_in_use += ticket.seats
        queue.next_dispatch += ticket.work
        self._execute(now, ticket)
        self._bound(queue)
        if ticket.admit is not None:
            ticket.admit()

    def _execute(self, now: float, ticket: Ticket) -> None:
        ticket.started = now
        self.requests_executing += 1
        self.seats_in_use += ticket.seats
        self.dispatched += 1
        self._set_demand(now)

    def _bound(self, queue: Queue) -> None:
        """Nothing begins before it arrived: what a queue did not use does not add up."""
        if queue.waiting and queue.next_dispatch < queue.waiting[0].arrived_at:
            queue.next_dispatch = queue.waiting[0].arrived_at

    def _set_demand(self, now: float) -> None:
        self.demand.set(now, self.seats_in_use + self.seats_waiting)


def is_waiting(ticket: Ticket) -> bool:
    """Whether a ticket that was started waits in its queue."""
    return ticket.queue is not None and ticket not in ticket.queue.executing
