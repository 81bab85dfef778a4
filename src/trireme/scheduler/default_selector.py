"""Default selectors, for the system's default spreading of pods without constraints of their own.

In: Services and workloads in the informers' caches. Out: a selector: the labels by which Services
select the pod, and the selector of the workload that controls it. Upstream: helper.DefaultSelector
of the PodTopologySpread plugin.
"""

from __future__ import annotations

from typing import Any

from trireme.api.apps.v1.replicaset import ReplicaSet
from trireme.api.apps.v1.statefulset_types import StatefulSet
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.replicationcontroller import ReplicationController
from trireme.api.core.v1.service import Service
from trireme.domain import owners
from trireme.machinery import labels
from trireme.runtime import index
from trireme.runtime.informer import Informer, Informers


class DefaultSelectors:
    """Default selectors from the informers' caches."""

    def __init__(self, informers: Informers) -> None:
        self._services = informers.of(Service)
        self._services.add_index(index.namespace)
        self._replication_controllers = informers.of(ReplicationController)
        self._workloads: dict[tuple[str, str], Informer[Any]] = {
            ("ReplicaSet", "apps/v1"): informers.of(ReplicaSet),
            ("StatefulSet", "apps/v1"): informers.of(StatefulSet),
        }

    def of(self, pod: Pod) -> labels.Selector | None:
        """The pod's default selector; None when no Service or workload selects it."""
        meta = pod.metadata
        matched: dict[str, str] = {}
        for service in self._services.by_index(index.namespace, meta.namespace):
            selected = service.spec.selector
            if selected and all(meta.labels.get(key) == text for key, text in selected.items()):
                matched |= selected
        owner = owners.controller_of(meta)
        kind = (owner.kind, owner.apiVersion) if owner is not None else None
        if owner is not None and kind == ("ReplicationController", "v1"):
            controller = self._replication_controllers.get(meta.namespace, owner.name)
            matched |= controller.spec.selector if controller is not None else {}
        selector = labels.from_set(matched)
        informer = self._workloads.get(kind) if kind is not None else None
        if owner is not None and informer is not None:
            workload = informer.get(meta.namespace, owner.name)
            if workload is not None and workload.spec.selector is not None:
                requirements = labels.from_struct(workload.spec.selector).requirements
                selector = selector.add(*requirements)
        return None if selector.empty() else selector
