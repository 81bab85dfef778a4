"""API Priority and Fairness: a request is answered, waits its turn, or is refused with 429.

In: a request whose user is known. Out: None, and the request holds its seats until it is closed (a
watch until its first events are sent), or the refusal, perhaps after a wait of a quarter of the
request's time. Not limited are streams (proxy, exec, attach, portforward, log) and what is exempt.
Decisions are in ``fairness``; here are the clock, the timers and the store. Upstream: apiserver
``server/filters/priority-and-fairness.go``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial
from typing import Final

from trireme.api.flowcontrol.v1.flowschema_types import FlowSchema
from trireme.api.flowcontrol.v1.prioritylevel_types import PriorityLevelConfiguration
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.fairness import counts, estimate
from trireme.apiserver.fairness.estimate import Statistics
from trireme.apiserver.fairness.levels import Flow, Level, Levels
from trireme.apiserver.fairness.queueset import is_waiting
from trireme.apiserver.fairness.seats import ONE, Estimate, Ticket
from trireme.apiserver.fairness.watches import Watches
from trireme.apiserver.filters import in_flight
from trireme.apiserver.reply.reply import Reply
from trireme.apiserver.request import ANONYMOUS, Request, is_long_running
from trireme.apiserver.served import ServedKinds
from trireme.kit.clock import Clock
from trireme.store import contract as stores
from trireme.store.contract import Store

# A request waits no longer than this, in seconds.
_LONGEST_WAIT: Final = 60.0


class Fairness:
    """The levels of one API server. ``timeout``: seconds that a request has."""

    def __init__(
        self,
        levels: Levels,
        reader: Reader,
        store: Store,
        served: ServedKinds,
        clock: Clock,
        timeout: float,
    ) -> None:
        self.levels = levels
        self._reader = reader
        self._served = served
        self._now = clock.monotonic
        self._clock = clock
        self._wait = min(timeout / 4, _LONGEST_WAIT)
        self._statistics = Statistics(store)
        self._watches = Watches()
        self._changes = reader.changes(FlowSchema, PriorityLevelConfiguration)
        # Runs while requests wait: levels borrow though nobody comes.
        self._adjusting: asyncio.TimerHandle | None = None

    def enter(self, request: Request) -> Reply | Awaitable[Reply | None] | None:
        """Let a request in; what is returned is the refusal, or gives it after a wait."""
        info = request.info
        watching = info.verb == "watch" and bool(info.resource)
        if not watching and is_long_running(info):
            return None
        now = self._now()
        levels = self.levels
        if now >= levels.next_adjustment:
            levels.adjust(now)
        if self._has_changed():
            self._configure(now)
        flow = request.flow = levels.flow(request.user or ANONYMOUS, info)
        if flow.is_exempt:
            flow.level.queues.enter(now, request)
            flow.counts.dispatched += 1
            request.leave = self._leave_exempt
            if watching:
                self._watch(request)
            return None
        ticket = request.ticket = Ticket(
            self._estimate(request, flow.level), flow.schema.metadata.name, flow.distinguisher,
            request,
        )  # fmt: skip
        queues = flow.level.queues
        if not queues.start(now, ticket, flow.hand):
            self._reap(flow.level)
            flow.counts.reject(counts.QUEUE_FULL if flow.hand else counts.LIMIT)
            return self._refusal(flow)
        if ticket.queue is not None and is_waiting(ticket):
            return self._waiting(request, flow, ticket, watching)
        flow.counts.dispatched += 1
        flow.counts.at_once += 1
        request.leave = self._leave
        if watching:
            self._watch(request)
        return None

    def _watch(self, request: Request) -> None:
        end = self._watches.begin(request)
        if end is not None:
            request.at_end(end)

    def _leave_exempt(self, request: Request) -> None:
        request.flow.level.queues.leave(request)

    def _leave(self, request: Request) -> None:
        self._finish(request.flow.level, request.ticket)

    def _finish(self, level: Level, ticket: Ticket) -> None:
        lingering = level.queues.finish(self._now(), ticket)
        if lingering:
            loop = asyncio.get_running_loop()
            loop.call_later(lingering, self._release, level, ticket)
        elif level.quiescing:
            self._reap(level)

    def _release(self, level: Level, ticket: Ticket) -> None:
        level.queues.release(self._now(), ticket)
        self._reap(level)

    async def _waiting(
        self, request: Request, flow: Flow, ticket: Ticket, watching: bool
    ) -> Reply | None:
        """Wait for the turn; the refusal where it does not come in time."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        ticket.admit = partial(_resolve, turn, True)
        timer = loop.call_later(self._limit(request), _resolve, turn, False)
        self._adjust_later()
        admitted = False
        try:
            admitted = await turn
        finally:
            timer.cancel()
            ticket.admit = None
            flow.counts.wait(admitted, self._now() - ticket.arrived)
            if not admitted:
                # Out of time, or the client has gone: its turn may have come all the same.
                if is_waiting(ticket):
                    flow.level.queues.cancel(self._now(), ticket)
                else:
                    self._finish(flow.level, ticket)
        if not admitted:
            flow.counts.reject(counts.TIME_OUT)
            return self._refusal(flow)
        flow.counts.dispatched += 1
        request.leave = self._leave
        if watching:
            self._watch(request)
        return None

    def _limit(self, request: Request) -> float:
        deadline = request.deadline
        if deadline is None:
            return self._wait
        return min(deadline / 4, _LONGEST_WAIT)

    def _adjust_later(self) -> None:
        if self._adjusting is None:
            delay = max(self.levels.next_adjustment - self._now(), 0.0)
            self._adjusting = asyncio.get_running_loop().call_later(delay, self._adjust)

    def _adjust(self) -> None:
        self._adjusting = None
        self.levels.adjust(self._now())
        if self.levels.is_waiting:
            self._adjust_later()

    def _has_changed(self) -> bool:
        try:
            return self._changes.any()
        except stores.StoreUnavailable:
            return False

    def _configure(self, now: float) -> None:
        self.levels.configure(
            self._reader.list(PriorityLevelConfiguration), self._reader.list(FlowSchema), now
        )

    def _reap(self, level: Level) -> None:
        if level.quiescing and level.queues.is_idle:
            self._configure(self._now())

    def _estimate(self, request: Request, level: Level) -> Estimate:
        info = request.info
        if not info.resource:
            return ONE
        if info.verb in ("list", "watch"):
            endpoint = self._endpoint(request)
            return estimate.of_list(request, endpoint, self._statistics, level.list_seats)
        if estimate.is_write(info.verb):
            return estimate.of_write(request, self._watches, level.write_seats)
        return ONE

    def _endpoint(self, request: Request) -> Endpoint | None:
        info = request.info
        at = info.group, info.version, info.resource
        return self._served.endpoints.get(at) or self._served.custom.endpoint(*at)

    def _refusal(self, flow: Flow) -> Reply:
        after = flow.level.retry_after
        after.refused(int(self._clock.now()))
        return in_flight.too_many(after.seconds)


def _resolve(turn: asyncio.Future[bool], admitted: bool) -> None:
    if not turn.done():
        turn.set_result(admitted)
