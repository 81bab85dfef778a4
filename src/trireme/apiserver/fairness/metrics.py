"""The metrics of priority levels and flow schemas under upstream's names.

In: the levels. Out: families that are made when the registry is read: requests pay an addition.
Upstream: apiserver ``util/flowcontrol/metrics``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import prometheus_client
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from trireme.apiserver.fairness.counts import BUCKETS, Counts
from trireme.apiserver.fairness.levels import Level, Levels
from trireme.apiserver.fairness.seats import SCALE
from trireme.apiserver.request import READ_VERBS, Request
from trireme.kit import metrics

_PREFIX = "apiserver_flowcontrol_"
_LEVEL = ("priority_level",)
_BOTH = ("flow_schema", "priority_level")
# Of each level: name, what it is, how it is read.
_LEVELS: tuple[tuple[str, str, Callable[[Level], float]], ...] = (
    ("nominal_limit_seats", "Seats by configuration", lambda one: one.nominal),
    ("lower_limit_seats", "Seats that are never lent", lambda one: one.least),
    ("upper_limit_seats", "Seats with all that may be borrowed", lambda one: one.most),
    ("current_limit_seats", "Seats now", lambda one: one.current),
    (
        "demand_seats_high_watermark",
        "The most seats that were used or waited for in the last period",
        lambda one: one.high_watermark,
    ),
    ("demand_seats_average", "Their mean in the last period", lambda one: one.mean),
    ("demand_seats_stdev", "Their deviation in the last period", lambda one: one.deviation),
    ("demand_seats_smoothed", "Seats used or waited for, smoothed", lambda one: one.smoothed),
    ("current_r", "How far the fair world has come", lambda one: one.queues.progress / SCALE),
)
_SCHEMAS = (
    ("current_executing_requests", "Requests that are being answered"),
    ("current_executing_seats", "Seats of requests that are being answered"),
    ("current_inqueue_requests", "Requests that wait"),
    ("current_inqueue_seats", "Seats of requests that wait"),
)


_REQUESTS = ("apiserver_current_inflight_requests", "apiserver_current_inqueue_requests")


def register(registry: prometheus_client.CollectorRegistry, levels: Levels) -> None:
    """Show the levels in a registry."""
    names = [f"{_PREFIX}{name}" for name, *_ in (*_LEVELS, *_SCHEMAS)] + list(_REQUESTS)
    metrics.collected(registry, lambda: _collect(levels), *names)


def _collect(levels: Levels) -> Iterable[Metric]:
    for name, text, read in _LEVELS:
        family = GaugeMetricFamily(f"{_PREFIX}{name}", text, labels=_LEVEL)
        for level in levels.by_name.values():
            family.add_metric((level.name,), float(read(level)))
        yield family
    present = [_present(level) for level in levels.by_name.values()]
    for at, (name, text) in enumerate(_SCHEMAS):
        found: dict[tuple[str, ...], float] = {
            (schema, level.name): float(each[at][schema])
            for level, each in zip(levels.by_name.values(), present, strict=True)
            for schema in level.counts
        }
        yield metrics.counted(f"{_PREFIX}{name}", text, _BOTH, found)
    yield from _totals(levels)
    yield from _requests(levels)


def _requests(levels: Levels) -> Iterable[Metric]:
    """Requests that are answered, and that wait, by whether they change something."""
    now: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in _REQUESTS}
    executing, waiting = now.values()
    for kind in (("readOnly",), ("mutating",)):
        executing[kind] = waiting[kind] = 0
    for level in levels.by_name.values():
        queues = level.queues
        executing.update(_kind(request) for request in list(queues.exempt))
        for held in (queues.executing, *(queue.executing for queue in queues.queues)):
            executing.update(_kind(ticket.digest) for ticket in list(held))
        for queue in queues.queues:
            waiting.update(_kind(ticket.digest) for ticket in list(queue.waiting))
    for name, text in zip(_REQUESTS, ("are being answered", "wait"), strict=True):
        yield metrics.counted(name, f"Requests that {text}", ("request_kind",), now[name])


def _kind(request: Request) -> tuple[str]:
    """The label of a request."""
    return ("readOnly",) if request.info.verb in READ_VERBS else ("mutating",)


def _present(level: Level) -> tuple[Counter[str], ...]:
    """Requests and seats that execute and wait, by schema."""
    queues = level.queues
    executing: Counter[str] = Counter()
    seats: Counter[str] = Counter()
    waiting: Counter[str] = Counter()
    waiting_seats: Counter[str] = Counter()
    # Copied: this runs in a thread.
    for request in list(queues.exempt):
        executing[request.flow.schema.metadata.name] += 1
        seats[request.flow.schema.metadata.name] += 1
    for held in (queues.executing, *(queue.executing for queue in queues.queues)):
        for ticket in list(held):
            executing[ticket.schema] += 1
            seats[ticket.schema] += ticket.seats
    for queue in queues.queues:
        for ticket in list(queue.waiting):
            waiting[ticket.schema] += 1
            waiting_seats[ticket.schema] += ticket.seats
    return executing, seats, waiting, waiting_seats


def _totals(levels: Levels) -> Iterable[Metric]:
    dispatched = CounterMetricFamily(
        f"{_PREFIX}dispatched_requests", "Requests that were let in", labels=_BOTH
    )
    rejected = CounterMetricFamily(
        f"{_PREFIX}rejected_requests", "Requests that were refused", labels=(*_BOTH, "reason")
    )
    waited = HistogramMetricFamily(
        f"{_PREFIX}request_wait_duration_seconds",
        "How long requests waited for their turn",
        labels=("execute", *_BOTH),
    )
    for level in levels.by_name.values():
        for schema, counts in level.counts.items():
            dispatched.add_metric((schema, level.name), counts.dispatched)
            for reason, count in counts.rejected.items():
                rejected.add_metric((schema, level.name, reason), count)
            for executed in (True, False):
                _add_waits(waited, (schema, level.name), counts, executed)
    return dispatched, rejected, waited


def _add_waits(
    family: HistogramMetricFamily, labels: tuple[str, str], counts: Counts, executed: bool
) -> None:
    numbers = list(counts.waits[executed])
    if executed:
        numbers[0] += counts.at_once
    if not any(numbers):
        return
    buckets, total = [], 0
    for bound, number in zip((*map(str, BUCKETS), "+Inf"), numbers, strict=True):
        total += number
        buckets.append((bound, total))
    family.add_metric((str(executed).lower(), *labels), buckets, counts.waited[executed])
