"""What is counted about EndpointSlices. Names and labels are upstream's:
staging/src/k8s.io/endpointslice/metrics, pkg/controller/endpointslicemirroring/metrics.

In: what a controller did, its caches. Out: families in the manager's registry. Called by
``slices``, ``endpointslice`` and ``endpointslicemirroring``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import prometheus_client
from prometheus_client.metrics_core import Metric

from trireme.api.core.v1.service import Service
from trireme.api.discovery.v1.endpointslice_types import EndpointSlice
from trireme.controllers.network import plan_slices
from trireme.controllers.network.plan_slices import Action, Create, Delete, Update
from trireme.kit import metrics
from trireme.runtime.informer import Informer

_SIZES: Final = metrics.exponential(2, 2, 15)
_OPERATIONS: Final = {Create: "create", Update: "update", Delete: "delete"}


class SliceMetrics:
    """The families that both controllers have. ``slices`` are all in the cache; those of
    ``manager`` count. ``limit``: endpoints of a slice at most."""

    def __init__(
        self,
        registry: prometheus_client.CollectorRegistry,
        subsystem: str,
        slices: Informer[EndpointSlice],
        manager: str,
        limit: int,
    ) -> None:
        self._subsystem = subsystem
        self._slices = slices
        self._manager = manager
        self._limit = limit
        self._changes = metrics.plain_counter(
            registry, f"{subsystem}_changes", "Writes of EndpointSlices", ["operation"]
        )
        self._added, self._removed = (
            metrics.histogram(
                registry, f"{subsystem}_endpoints_{what}_per_sync", f"Endpoints {what}", _SIZES
            )
            for what in ("added", "removed")
        )
        names = ("endpoints_desired", "num_endpoint_slices", "desired_endpoint_slices")
        metrics.collected(registry, self._collect, *(f"{subsystem}_{name}" for name in names))

    def wrote(self, action: Action) -> None:
        """One was written."""
        self._changes.labels(_OPERATIONS[type(action)]).inc()

    def planned(self, actions: Sequence[Action], there: Iterable[EndpointSlice]) -> None:
        """What is about to be written to the slices ``there``."""
        touched = {
            item.name if isinstance(item, Delete) else item.slice.metadata.name for item in actions
        }
        before = _addresses(item for item in there if item.metadata.name in touched)
        after = _addresses(item.slice for item in actions if not isinstance(item, Delete))
        self._added.observe((after - before).total())
        self._removed.observe((before - after).total())

    def _collect(self) -> Iterable[Metric]:
        endpoints = number = 0
        by_service: defaultdict[tuple[str, str], Counter[tuple[object, ...]]] = defaultdict(Counter)
        for item in self._slices.list():
            labels = item.metadata.labels
            if labels.get(plan_slices.LABEL_MANAGER) != self._manager:
                continue
            number += 1
            endpoints += len(item.endpoints)
            service = item.metadata.namespace, labels.get(plan_slices.LABEL_SERVICE, "")
            group = (item.addressType, *plan_slices.ports_in(item))
            by_service[service][group] += len(item.endpoints)
        desired = sum(
            max(sum(-(-count // self._limit) for count in groups.values()), 1)
            for groups in by_service.values()
        )
        for name, text, value in (
            ("endpoints_desired", "Endpoints", endpoints),
            ("num_endpoint_slices", "EndpointSlices", number),
            ("desired_endpoint_slices", "EndpointSlices if none had room left", desired),
        ):
            yield metrics.counted(f"{self._subsystem}_{name}", text, (), {(): value})


class SyncMetrics:
    """What only the controller of Services with selectors has."""

    def __init__(
        self, registry: prometheus_client.CollectorRegistry, services: Informer[Service]
    ) -> None:
        name = "endpoint_slice_controller"
        self._services = services
        self._syncs = metrics.plain_counter(registry, f"{name}_syncs", "Looks", ["result"])
        self._changed = metrics.histogram(
            registry,
            f"{name}_endpointslices_changed_per_sync",
            "EndpointSlices written in a look",
            # Upstream names none: prometheus' own.
            prometheus_client.Histogram.DEFAULT_BUCKETS,
            ["topology", "traffic_distribution"],
        )
        self._count = f"{name}_services_count_by_traffic_distribution"
        metrics.collected(registry, self._collect, self._count)

    def synced(self, result: str) -> None:
        """One look: success, stale or error."""
        self._syncs.labels(result).inc()

    def changed(self, service: Service, count: int) -> None:
        """So many slices were written for a Service."""
        topology = "Auto" if plan_slices.has_topology_mode(service) else "Disabled"
        self._changed.labels(topology, service.spec.trafficDistribution or "").observe(count)

    def _collect(self) -> Iterable[Metric]:
        found = (service.spec.trafficDistribution for service in self._services.list())
        counts: Counter[tuple[str, ...]] = Counter((value,) for value in found if value)
        text = "Services by their traffic distribution"
        yield metrics.counted(self._count, text, ["traffic_distribution"], counts)


class MirroringMetrics:
    """What only the mirroring has."""

    def __init__(self, registry: prometheus_client.CollectorRegistry) -> None:
        name = "endpoint_slice_mirroring_controller"
        self.skipped = metrics.histogram(
            registry, f"{name}_addresses_skipped_per_sync", "Addresses left out", _SIZES
        )
        self.duration = metrics.histogram(
            registry,
            f"{name}_endpoints_sync_duration",
            "How long a look took",
            metrics.exponential(0.001, 2, 15),
        )


def _addresses(slices: Iterable[EndpointSlice]) -> Counter[str]:
    return Counter(
        address for item in slices for endpoint in item.endpoints for address in endpoint.addresses
    )
