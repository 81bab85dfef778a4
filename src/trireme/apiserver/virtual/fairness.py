"""/debug/api_priority_and_fairness: priority levels, their queues, and the requests in them.

Upstream: apiserver ``util/flowcontrol/apf_controller_debug.go``;
https://kubernetes.io/docs/reference/debug-cluster/flow-control/.
"""

from __future__ import annotations

from collections.abc import Iterator

from trireme.apiserver.context import ServerContext
from trireme.apiserver.fairness import seats
from trireme.apiserver.fairness.levels import Level
from trireme.apiserver.fairness.seats import Ticket
from trireme.apiserver.handlers import Route
from trireme.apiserver.reply import reply
from trireme.apiserver.reply.reply import AnyReply, Reply
from trireme.apiserver.request import ANONYMOUS, Request
from trireme.machinery import time

_ROOT = "/debug/api_priority_and_fairness/dump_"
_LEVELS = (
    "PriorityLevelName", "ActiveQueues", "IsIdle", "IsQuiescing", "WaitingRequests",
    "ExecutingRequests", "DispatchedRequests", "RejectedRequests", "TimedoutRequests",
    "CancelledRequests",
)  # fmt: skip
_QUEUES = (
    "PriorityLevelName", "Index", "PendingRequests", "ExecutingRequests", "SeatsInUse",
    "NextDispatchR", "InitialSeatsSum", "MaxSeatsSum", "TotalWorkSum",
)  # fmt: skip
_REQUESTS = (
    "PriorityLevelName", "FlowSchemaName", "QueueIndex", "RequestIndexInQueue", "FlowDistingsher",
    "ArriveTime", "InitialSeats", "FinalSeats", "AdditionalLatency", "StartTime",
)  # fmt: skip
_DETAILS = (
    "UserName", "Verb", "APIPath", "Namespace", "Name", "APIVersion", "Resource", "SubResource",
)  # fmt: skip
Row = tuple[object, ...]


async def levels(context: ServerContext, _request: Request) -> AnyReply:
    """A line for each priority level."""
    if context.fairness is None:
        return reply.no_page()
    rows: list[Row] = [_LEVELS]
    for level in _levels(context):
        queues = level.queues
        active = sum(bool(queue.waiting) for queue in queues.queues)
        rows.append(
            (level.name, active, queues.is_idle, level.quiescing, queues.requests_waiting,
             queues.requests_executing + len(queues.exempt), queues.dispatched, queues.rejected,
             0, queues.cancelled)
        )  # fmt: skip
    return _page(rows)


async def queues(context: ServerContext, _request: Request) -> AnyReply:
    """A line for each queue."""
    if context.fairness is None:
        return reply.no_page()
    rows: list[Row] = [_QUEUES]
    for level in _levels(context):
        for queue in level.queues.queues:
            rows.append(
                (level.name, queue.index, len(queue.waiting), len(queue.executing),
                 queue.seats_in_use, seats.text(queue.next_dispatch),
                 sum(ticket.estimate.initial for ticket in queue.waiting),
                 sum(ticket.seats for ticket in queue.waiting), seats.text(queue.waiting_work))
            )  # fmt: skip
    return _page(rows)


async def requests(context: ServerContext, request: Request) -> AnyReply:
    """A line for each request, waiting or executing; ``includeRequestDetails`` says more."""
    if context.fairness is None:
        return reply.no_page()
    detailed = bool(request.param("includeRequestDetails"))
    rows: list[Row] = [_REQUESTS + (_DETAILS if detailed else ())]
    ahead = context.env.clock.now() - context.env.clock.monotonic()
    for level in _levels(context):
        for queue, place, ticket in _tickets(level):
            row = (level.name, ticket.schema, queue, place, ticket.distinguisher,
                   _time(ticket.arrived, ahead), ticket.estimate.initial, ticket.estimate.final,
                   f"{ticket.estimate.latency:g}s", _time(ticket.started, ahead))  # fmt: skip
            rows.append(row + (_details(ticket) if detailed else ()))
    return _page(rows)


def _levels(context: ServerContext) -> list[Level]:
    assert context.fairness is not None
    by_name = context.fairness.by_name
    return [by_name[name] for name in sorted(by_name)]


def _tickets(level: Level) -> Iterator[tuple[int, int, Ticket]]:
    """With the queue and the place in it; -1: none."""
    for queue in level.queues.queues:
        for place, ticket in enumerate(queue.waiting):
            yield queue.index, place, ticket
        for ticket in queue.executing:
            yield queue.index, -1, ticket
    for ticket in level.queues.executing:
        yield -1, -1, ticket
    for request, arrived in level.queues.exempt.items():
        exempt = Ticket(seats.ONE, request.flow.schema.metadata.name, "", request)
        exempt.arrived = exempt.started = arrived
        yield -1, -1, exempt


def _details(ticket: Ticket) -> Row:
    request: Request = ticket.digest
    info, user = request.info, request.user or ANONYMOUS
    version = f"{info.group}/{info.version}" if info.group else info.version
    return (user.name, info.verb, info.path, info.namespace, info.name, version, info.resource,
            info.subresource)  # fmt: skip


def _time(seconds: float, ahead: float) -> str:
    """A time of the clock that never goes back, which the wall clock is ``ahead`` of."""
    return time.format_micro(seconds + ahead) if seconds else "0001-01-01T00:00:00Z"


def _page(rows: list[Row]) -> Reply:
    """Columns with commas between, aligned as Go's tabwriter does."""
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max(8, *(len(row[at]) + 2 for row in texts)) for at in range(len(texts[0]) - 1)]
    lines = (
        "".join(f"{cell},".ljust(width) for cell, width in zip(row, widths, strict=False)) + row[-1]
        for row in texts
    )
    return Reply(200, "".join(f"{line}\n" for line in lines).encode(), "text/plain; charset=utf-8")


def _text(cell: object) -> str:
    return str(cell).lower() if isinstance(cell, bool) else str(cell)


LEVELS = Route(f"{_ROOT}priority_levels", levels)
QUEUES = Route(f"{_ROOT}queues", queues)
REQUESTS = Route(f"{_ROOT}requests", requests)
