"""Which pods belong together: by the Services that select them and the workload that owns them.

In: Services and ReplicaSets as informers hold them. Out: the selector by which the system spreads a
pod that asks for nothing itself. Upstream: helper.DefaultSelector; ReplicationControllers and
StatefulSets are to join when the API has them.
"""

from __future__ import annotations

from trireme.api.apps.v1.replicaset import ReplicaSet
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.service import Service
from trireme.domain import owners
from trireme.machinery import labels
from trireme.runtime import index
from trireme.runtime.informer import Informer


class Siblings:
    """Selectors by workload."""

    def __init__(self, services: Informer[Service], replica_sets: Informer[ReplicaSet]) -> None:
        self._services = services
        self._replica_sets = replica_sets
        services.add_index(index.namespace)

    def selector(self, pod: Pod) -> labels.Selector | None:
        """What tells a pod's siblings; None when it belongs to nothing."""
        meta = pod.metadata
        wanted: dict[str, str] = {}
        for service in self._services.by_index(index.namespace, meta.namespace):
            chosen = service.spec.selector
            if chosen and all(meta.labels.get(key) == text for key, text in chosen.items()):
                wanted |= chosen
        owner = owners.controller_of(meta)
        if owner is None or (owner.kind, owner.apiVersion) != ("ReplicaSet", "apps/v1"):
            return labels.from_set(wanted) if wanted else None
        found = self._replica_sets.get(meta.namespace, owner.name)
        selector = labels.from_set(wanted)
        if found is not None and found.spec.selector is not None:
            selector = selector.add(*labels.from_struct(found.spec.selector).requirements)
        return None if selector.empty() else selector
