"""What is counted about volumes and claims. Names and labels are upstream's,
pkg/controller/volume/persistentvolume/metrics.

In: the caches. Out: families in the manager's registry. Called by ``reconcile``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import prometheus_client
from prometheus_client.metrics_core import Metric

from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.domain import volumes
from trireme.kit import metrics
from trireme.runtime.informer import Informers

_PREFIX = "pv_collector"
_OF_CLAIMS = ["namespace", "storage_class", "volume_attributes_class"]


class BinderMetrics:
    """``classes``: claims that got the default class later; ``class_errors``: that did not."""

    def __init__(self, registry: prometheus_client.CollectorRegistry, informers: Informers) -> None:
        self._volumes = informers.of(PersistentVolume)
        self._claims = informers.of(PersistentVolumeClaim)
        self.classes = metrics.counter(
            registry, "retroactive_storageclass_total", "Claims that got the default class later"
        )
        self.class_errors = metrics.counter(
            registry, "retroactive_storageclass_errors_total", "Claims that could not get it"
        )
        names = ("total_pv", "bound_pv", "unbound_pv", "bound_pvc", "unbound_pvc")
        metrics.collected(registry, self._collect, *(f"{_PREFIX}_{name}_count" for name in names))

    def _collect(self) -> Iterable[Metric]:
        total: Counter[tuple[str, ...]] = Counter()
        of_volumes: dict[bool, Counter[tuple[str, ...]]] = {True: Counter(), False: Counter()}
        of_claims: dict[bool, Counter[tuple[str, ...]]] = {True: Counter(), False: Counter()}
        for volume in self._volumes.list():
            total[_plugin(volume), volume.spec.volumeMode or "Filesystem"] += 1
            of_volumes[volume.status.phase == "Bound"][(volume.spec.storageClassName,)] += 1
        for claim in self._claims.list():
            spec = claim.spec
            of_claims[claim.status.phase == "Bound"][
                claim.metadata.namespace,
                volumes.class_of(claim),
                spec.volumeAttributesClassName or "",
            ] += 1
        labels = ["plugin_name", "volume_mode"]
        yield metrics.counted(f"{_PREFIX}_total_pv_count", "Volumes", labels, total)
        for name, bound in (("bound", True), ("unbound", False)):
            yield metrics.counted(
                f"{_PREFIX}_{name}_pv_count",
                f"Volumes that are {name}",
                ["storage_class"],
                of_volumes[bound],
            )
            yield metrics.counted(
                f"{_PREFIX}_{name}_pvc_count",
                f"Claims that are {name}",
                _OF_CLAIMS,
                of_claims[bound],
            )


def _plugin(volume: PersistentVolume) -> str:
    """The name that upstream's plugin has; a CSI driver's is part of it."""
    spec = volume.spec
    if spec.csi is not None:
        return f"kubernetes.io/csi:{spec.csi.driver}"
    for field, name in (
        (spec.local, "local-volume"),
        (spec.hostPath, "host-path"),
        (spec.nfs, "nfs"),
    ):
        if field is not None:
            return f"kubernetes.io/{name}"
    return "N/A"
