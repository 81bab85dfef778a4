"""Metrics of watches: the events that they send, and how long their first ones take.

In: what ``verbs/watch`` sends. Out: families under upstream's names. Upstream: apiserver
``endpoints/metrics``, ``storage/cacher/metrics``.
"""

from __future__ import annotations

from typing import Final

import prometheus_client

from trireme.apiserver.request import RequestInfo
from trireme.kit import metrics
from trireme.kit.metrics import Counts, Tallies, Tally
from trireme.machinery.resource import Resource

_SIZES: Final = metrics.exponential(1024, 2.0, 8)
_SECONDS: Final = (
    0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2, 4, 6, 8, 10, 15, 20, 30, 45, 60,
)  # fmt: skip
_KIND: Final = ("group", "version", "resource")


class WatchMetrics:
    """The watches of one API server."""

    def __init__(self, registry: prometheus_client.CollectorRegistry) -> None:
        self._sizes = Tallies(
            "apiserver_watch_events_sizes", "Bytes of events that were sent", _SIZES, _KIND
        )
        self._initial = Counts(
            "apiserver_init_events_total",
            "Events that watches began with",
            ["group", "resource"],
        )
        self._lists = Tallies(
            "apiserver_watch_list_duration_seconds",
            "Seconds until the first events of a watch had been sent",
            _SECONDS,
            (*_KIND, "scope"),
        )
        events = self._sizes.counted("apiserver_watch_events_total", "Events that were sent")
        metrics.expose(registry, self._sizes, events, self._initial, self._lists)

    def sizes(self, resource: Resource) -> Tally:
        """Where the events of a kind are observed."""
        return self._sizes.of(resource.group, resource.version, resource.plural)

    def began(self, resource: Resource, count: int) -> None:
        """A watch begins with so many events."""
        if count:
            self._initial.add(resource.group, resource.plural, count=count)

    def listed(self, resource: Resource, info: RequestInfo, seconds: float) -> None:
        """The first events of a watch that takes the place of a list have been sent."""
        scope = "resource" if info.name else "namespace" if info.namespace else "cluster"
        labels = resource.group, resource.version, resource.plural, scope
        self._lists.of(*labels).observe(seconds)
