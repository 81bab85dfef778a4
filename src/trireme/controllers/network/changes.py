"""The Services that a pod's change affects, and when the change happened.

In: events of pods. Out: keys of Services; times for the annotation of what is written. Used by the
controllers of EndpointSlices and Endpoints. Upstream: staging/src/k8s.io/endpointslice/util.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

import msgspec

from trireme.api.core.v1.endpoints import Endpoints
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.service import Service
from trireme.api.discovery.v1.endpointslice_types import EndpointSlice
from trireme.client.resource_interface import MODIFIED
from trireme.controllers.network import backends
from trireme.domain import pods
from trireme.machinery import time
from trireme.runtime import keys
from trireme.runtime.informer import Event, Informer
from trireme.runtime.keys import Key

_Written = TypeVar("_Written", Endpoints, EndpointSlice)


def trigger(services: Informer[Service]) -> Callable[[Event[Pod]], Iterable[Key]]:
    """From a pod's change to the Services that select it, or did, where the change matters."""

    def find(event: Event[Pod]) -> Iterable[Key]:
        pod, old = event.object, event.old
        if old is not None and event.type == MODIFIED and _facts(old) == _facts(pod):
            return
        for service in services.list(pod.metadata.namespace):
            if backends.selects(service, pod) or (
                old is not None and backends.selects(service, old)
            ):
                yield keys.of(service.metadata)

    return find


def _facts(pod: Pod) -> Hashable:
    """All fields of a pod that its endpoints depend on."""
    return (
        pod.metadata.uid,
        pod.metadata.deletionTimestamp is not None,
        tuple(sorted(pod.metadata.labels.items())),
        pod.spec.nodeName,
        pods.is_ready(pod),
        pods.is_finished(pod),
        pod.status.podIP,
        tuple(item.ip for item in pod.status.podIPs),
    )


class TriggerTimes:
    """When a Service's endpoints last changed: for the annotation from which the latency of the
    network's programming is measured. Of several changes, the earliest counts."""

    def __init__(self) -> None:
        self._pods: dict[Key, dict[str, float]] = {}

    def take(self, service: Service, selected: Iterable[Pod]) -> str:
        """The time of what changed since the last call, as text; "" when nothing did."""
        key = keys.of(service.metadata)
        known = self._pods.get(key)
        times = {pod.metadata.name: _changed(pod) for pod in selected}
        self._pods[key] = times
        if known is None:
            return service.metadata.creationTimestamp or ""
        news = [when for name, when in times.items() if when > known.get(name, 0.0)]
        return time.format(min(news)) if news else ""

    def forget(self, key: Key) -> None:
        """There is no such Service any more."""
        self._pods.pop(key, None)


def timed(item: _Written, when: str) -> _Written:
    """The object with the time of the change that it is written for; "" is none."""
    annotations = {k: v for k, v in item.metadata.annotations.items() if k != backends.TRIGGER_TIME}
    if when:
        annotations[backends.TRIGGER_TIME] = when
    metadata = msgspec.structs.replace(item.metadata, annotations=annotations)
    return msgspec.structs.replace(item, metadata=metadata)


def _changed(pod: Pod) -> float:
    found = pods.condition(pod, "Ready")
    return time.parse(found.lastTransitionTime) if found and found.lastTransitionTime else 0.0
