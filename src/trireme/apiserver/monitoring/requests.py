"""Metrics of requests: how many, how long, how large, how many at a time.

In: each request, once it has been answered. Out: metric families, made when somebody asks for them:
a request costs a look-up and a few additions. Called by ``chain``. Upstream: apiserver
``endpoints/metrics``. Of what is not served only the verb and the code are counted, whatever its
path says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from trireme.kit.metrics import Tally

# Seconds; bytes.
DURATIONS: Final = (
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30,
    45, 60,
)  # fmt: skip
SIZES: Final = tuple(1000.0 * 10**power for power in range(7))
# Service levels are measured from here on.
_SHORTEST: Final = 0.05
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

    __slots__ = ("codes", "durations", "running", "sizes")

    def __init__(self) -> None:
        self.codes: dict[int, int] = {}
        self.durations = Tally(DURATIONS)
        self.sizes: Tally | None = None
        # None where none ever lasted.
        self.running: int | None = None


class RequestMetrics:
    """Counts the requests of one API server. ``is_served``: whether there is such a resource."""

    def __init__(self, env: Env, is_served: Callable[[RequestInfo], bool]) -> None:
        self.now = env.clock.monotonic
        self._is_served = is_served
        self._series: dict[Key, _Series] = {}
        # Deprecated kinds that were asked for, with the release that has them no more.
        self._deprecated: dict[tuple[str, ...], float] = {}
        names = (
            "apiserver_request", "apiserver_request_duration_seconds",
            "apiserver_requested_deprecated_apis",
        )  # fmt: skip
        metrics.collected(env.metrics, self._collect, *names)

    def deprecated(self, info: RequestInfo, removed: str) -> None:
        """A deprecated kind is asked for, which goes in the release ``removed`` ("1.40", or "")."""
        self._deprecated[info.group, info.version, info.resource, info.subresource, removed] = 1

    def answered(self, request: Request, answer: AnyReply, began: float) -> None:
        """A request that began then has been answered; a stream has begun."""
        info = request.info
        series = self._of(request, info)
        if isinstance(answer, Reply) and not is_long_running(info):
            status = answer.status
            series.codes[status] = series.codes.get(status, 0) + 1
            series.durations.observe(self.now() - began)
            if info.verb in ("get", "list") and status < 300:
                if series.sizes is None:
                    series.sizes = Tally(SIZES)
                series.sizes.observe(answer.length)
            return
        series.running = (series.running or 0) + 1
        request.at_end(partial(self._ended, series, getattr(answer, "status", 101), began))

    def _ended(self, series: _Series, status: int, began: float) -> None:
        series.running = (series.running or 0) - 1
        series.codes[status] = series.codes.get(status, 0) + 1
        series.durations.observe(self.now() - began)

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
        for key, series in list(self._series.items()):
            labels = (*key, _COMPONENT)
            plain = (key[0], *key[2:], _COMPONENT)
            for code, count in list(series.codes.items()):
                total.add_metric((*labels, str(code)), count)
            durations = series.durations
            duration.add_metric(labels, durations.buckets(), durations.total)
            if not key[1]:
                sli.add_metric(plain, _without_short(durations), durations.total)
            if series.sizes is not None:
                size.add_metric(plain, series.sizes.buckets(), series.sizes.total)
            if series.running is not None:
                running.add_metric(plain, series.running)
        deprecated = metrics.counted(
            "apiserver_requested_deprecated_apis",
            "Deprecated kinds that were asked for, by the release that has them no more",
            ("group", "version", "resource", "subresource", "removed_release"),
            dict(self._deprecated),
        )
        yield from (total, duration, sli, size, running, deprecated)


def _without_short(durations: Tally) -> list[tuple[str, float]]:
    """The buckets from 0.05 seconds on."""
    return durations.buckets()[DURATIONS.index(_SHORTEST) :]
