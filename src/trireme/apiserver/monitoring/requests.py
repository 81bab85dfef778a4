"""Metrics of requests: how many, how long, how large, how many at a time.

In: each request, once it has been answered. Out: metric families, made when somebody asks for them:
a request costs a look-up and a few additions. Called by ``chain``. Upstream: apiserver
``endpoints/metrics``. Of what is not served only the verb and the code are counted, whatever its
path says.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from trireme.apiserver.reply.reply import AnyReply, Reply
from trireme.apiserver.request import Request, RequestInfo, is_long_running
from trireme.kit import metrics
from trireme.kit.env import Env

# Seconds; bytes.
DURATIONS: Final = (
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30,
    45, 60,
)  # fmt: skip
SIZES: Final = tuple(1000.0 * 10**power for power in range(7))
_VERBS: Final = {
    "get": "GET", "list": "LIST", "watch": "WATCH", "create": "POST", "post": "POST",
    "update": "PUT", "put": "PUT", "patch": "PATCH", "delete": "DELETE",
    "deletecollection": "DELETECOLLECTION",
}  # fmt: skip
_CONNECTS: Final = frozenset(("log", "exec", "portforward", "attach", "proxy"))
_APPLY: Final = "application/apply-patch+"
_LABELS: Final = ("verb", "group", "version", "resource", "subresource", "scope", "component")
_WITH_DRY_RUN: Final = ("verb", "dry_run", *_LABELS[1:])
_COMPONENT: Final = "apiserver"
# (verb, dry_run, group, version, resource, subresource, scope)
Key = tuple[str, str, str, str, str, str, str]


class _Series:
    """What is counted of the requests with the same labels."""

    __slots__ = ("codes", "durations", "running", "seconds", "sizes", "total_size")

    def __init__(self) -> None:
        self.codes: dict[int, int] = {}
        self.durations = [0] * (len(DURATIONS) + 1)
        self.seconds = 0.0
        self.sizes: list[int] | None = None
        self.total_size = 0
        self.running = 0


class RequestMetrics:
    """Counts the requests of one API server. ``is_served``: whether there is such a resource."""

    def __init__(self, env: Env, is_served: Callable[[RequestInfo], bool]) -> None:
        self.now = env.clock.monotonic
        self._is_served = is_served
        self._series: dict[Key, _Series] = {}
        self.unauthorized = 0
        names = ("apiserver_request", "apiserver_request_duration_seconds")
        metrics.collected(env.metrics, self._collect, *names)

    def answered(self, request: Request, answer: AnyReply, began: float) -> None:
        """A request that began then has been answered; a stream has begun."""
        info = request.info
        series = self._of(request, info)
        if isinstance(answer, Reply) and not is_long_running(info):
            status = answer.status
            series.codes[status] = series.codes.get(status, 0) + 1
            seconds = self.now() - began
            series.durations[bisect_left(DURATIONS, seconds)] += 1
            series.seconds += seconds
            if info.verb in ("get", "list") and status < 300:
                if series.sizes is None:
                    series.sizes = [0] * (len(SIZES) + 1)
                series.sizes[bisect_left(SIZES, answer.length)] += 1
                series.total_size += answer.length
            if status == 401:
                self.unauthorized += 1
            return
        series.running += 1
        request.at_end(partial(self._ended, series, getattr(answer, "status", 101), began))

    def _ended(self, series: _Series, status: int, began: float) -> None:
        series.running -= 1
        series.codes[status] = series.codes.get(status, 0) + 1
        seconds = self.now() - began
        series.durations[bisect_left(DURATIONS, seconds)] += 1
        series.seconds += seconds

    def _of(self, request: Request, info: RequestInfo) -> _Series:
        verb = _VERBS.get(info.verb, "other")
        if info.subresource in _CONNECTS:
            verb = "CONNECT"
        elif verb == "PATCH" and request.headers.get("content-type", "").startswith(_APPLY):
            verb = "APPLY"
        scope = ""
        if info.name or info.verb == "create":
            scope = "resource"
        elif info.namespace:
            scope = "namespace"
        elif info.resource:
            scope = "cluster"
        dry_run = "All" if "dryRun" in request.query else ""
        key = (
            verb, dry_run, info.group, info.version, info.resource, info.subresource, scope,
        )  # fmt: skip
        series = self._series.get(key)
        if series is None:
            if info.resource and not self._is_served(info):
                key = (verb, "", "", "", "", "", "")
                series = self._series.get(key)
            if series is None:
                series = self._series[key] = _Series()
        return series

    def _collect(self) -> Iterator[Metric]:
        """The families; called in a thread, so that it copies what requests change."""
        total = CounterMetricFamily(
            "apiserver_request",
            "Requests by verb, dry run, group, version, resource, scope, component and code",
            labels=(*_WITH_DRY_RUN, "code"),
        )
        duration = HistogramMetricFamily(
            "apiserver_request_duration_seconds",
            "How long requests took until they were answered, or their stream ended",
            labels=_WITH_DRY_RUN,
        )
        sli = HistogramMetricFamily(
            "apiserver_request_sli_duration_seconds",
            "How long requests took, without what webhooks and queues took of it",
            labels=_LABELS,
        )
        size = HistogramMetricFamily(
            "apiserver_response_sizes", "How many bytes GET and LIST answered", labels=_LABELS
        )
        running = GaugeMetricFamily(
            "apiserver_longrunning_requests", "Watches and streams that last", labels=_LABELS
        )
        requests = 0
        for key, series in list(self._series.items()):
            labels = (*key, _COMPONENT)
            plain = (key[0], *key[2:], _COMPONENT)
            for code, count in list(series.codes.items()):
                total.add_metric((*labels, str(code)), count)
                requests += count
            duration.add_metric(labels, _buckets(DURATIONS, series.durations), series.seconds)
            if not key[1]:
                sli.add_metric(plain, _buckets(DURATIONS, series.durations), series.seconds)
            if series.sizes is not None:
                size.add_metric(plain, _buckets(SIZES, series.sizes), series.total_size)
            if series.running:
                running.add_metric(plain, series.running)
        yield from (total, duration, sli, size, running)
        attempts = CounterMetricFamily(
            "authentication_attempts", "Authenticated attempts", labels=("result",)
        )
        attempts.add_metric(("success",), requests - self.unauthorized)
        attempts.add_metric(("failure",), self.unauthorized)
        yield attempts


def _buckets(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Counts of each bucket, as the format has them: of all that is not larger."""
    found: list[tuple[str, float]] = []
    sum_ = 0
    for bound, count in zip((*bounds, float("inf")), list(counts), strict=True):
        sum_ += count
        found.append(("+Inf" if bound == float("inf") else f"{bound:g}", sum_))
    return found
