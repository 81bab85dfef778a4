"""What one API server is and holds: its build, its feature gates, its stored objects.

In: the store and the endpoints that are served. Out: families that are made when the registry is
read, of what ``Storage.look`` found on the loop just before.
Upstream: apiserver ``storage/etcd3/metrics``, component-base ``metrics``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import prometheus_client
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from trireme.apiserver.config import VERSION
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.gates import Gates
from trireme.kit import metrics
from trireme.runtime.serving import build
from trireme.store.contract import Store, StoreError

_KIND: Final = ("group", "resource")
# Seconds that the store has to say how large it is.
_SIZE_WITHIN: Final = 2.0


class Storage:
    """The stored objects of one API server."""

    def __init__(
        self,
        registry: prometheus_client.CollectorRegistry,
        store: Store,
        endpoints: Callable[[], Iterable[Endpoint]],
    ) -> None:
        self._store = store
        self._endpoints = endpoints
        self._size = 0
        self._objects: dict[tuple[str, str], int] = {}
        self._events: dict[tuple[str, str], int] = {}
        names = ("storage_objects", "storage_size_bytes", "resource_objects")
        events = ("storage_events_received", "watch_cache_events_received")
        metrics.collected(
            registry, self._collect, *(f"apiserver_{name}" for name in (*names, *events))
        )

    async def look(self) -> None:
        """Take over what is stored now; on the loop, before the registry is read."""
        store, published = self._store, self._store.published()
        roots = {
            endpoint.root: (endpoint.resource.group, endpoint.resource.plural)
            for endpoint in self._endpoints()
        }
        self._objects = {kind: store.count(root) for root, kind in roots.items()}
        self._events = {kind: published[root] for root, kind in roots.items() if root in published}
        try:
            async with asyncio.timeout(_SIZE_WITHIN):
                self._size = await store.size()
        except (TimeoutError, StoreError):
            # The health checks say so; the last size is better than none.
            return

    def _collect(self) -> Iterable[Metric]:
        stored = GaugeMetricFamily(
            "apiserver_storage_objects", "Stored objects by kind", labels=["resource"]
        )
        objects = GaugeMetricFamily(
            "apiserver_resource_objects", "Stored objects by kind", labels=_KIND
        )
        for (group, plural), count in self._objects.items():
            stored.add_metric([f"{plural}.{group}" if group else plural], count)
            objects.add_metric([group, plural], count)
        size = GaugeMetricFamily(
            "apiserver_storage_size_bytes", "Bytes on the disk", labels=["storage_cluster_id"]
        )
        size.add_metric(["etcd-0"], self._size)
        yield from (stored, objects, size)
        for name in ("storage_events_received", "watch_cache_events_received"):
            events = CounterMetricFamily(
                f"apiserver_{name}", "Events that came from the store", labels=_KIND
            )
            for kind, count in self._events.items():
                events.add_metric(kind, count)
            yield events


def expose_build(registry: prometheus_client.CollectorRegistry, gates: Gates) -> None:
    """Show the version and the feature gates."""
    build.show(registry, VERSION)
    enabled = metrics.gauge(
        registry, "kubernetes_feature_enabled", "Whether a feature gate is on", ["name", "stage"]
    )
    for name, stage, on in gates.states():
        enabled.labels(name, "" if stage == "GA" else stage.upper()).set(on)
