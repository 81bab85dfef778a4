"""The resource requests of a pod, in the scheduler's units. Pure; for the scheduler and the cluster
autoscaler.

CPU in millicores, everything else in whole units (bytes, counts). Rules: the effective request of
a pod, https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.pod import Pod
from trireme.domain import pod_resources
from trireme.machinery import quantity

# The request of a container without one, in scores only, so that such pods are spread.
DEFAULT_CPU = 100
DEFAULT_MEMORY = 200 * 1024 * 1024
_EXTRA = frozenset({"cpu", "memory"})


class Request(msgspec.Struct, frozen=True):
    """``resources`` is for filters; ``cpu`` and ``memory``, with defaults, are for scores."""

    resources: dict[str, int]
    cpu: int
    memory: int
    ports: tuple[tuple[str, str, int], ...]


def value_of(name: str, text: str) -> int:
    """A quantity in the scheduler's unit for that resource, rounded up."""
    parsed = quantity.parse(text)
    return parsed.milli_value() if name == "cpu" else parsed.value()


def resources(values: Mapping[str, str]) -> dict[str, int]:
    """A resource list in the scheduler's units."""
    return {name: value_of(name, text) for name, text in values.items()}


def of(pod: Pod) -> Request:
    """The request of a pod."""
    spec = pod.spec
    real = _total(pod, lambda container: resources(container.resources.requests))
    scored = _total(pod, _filled)
    if spec.resources is not None:
        # Pod-level requests replace the sum of the containers.
        for name, value in resources(spec.resources.requests).items():
            real[name] = value
            scored[name] = value
    for name, value in resources(spec.overhead).items():
        real[name] = real.get(name, 0) + value
        scored[name] = scored.get(name, 0) + value
    asked = {name: value for name, value in real.items() if value}
    return Request(
        resources=asked,
        cpu=scored.get("cpu", 0),
        memory=scored.get("memory", 0),
        ports=tuple(_ports(spec.containers, spec.initContainers)),
    )


def of_running(pod: Pod, desired: Request) -> Request:
    """What a pod on a node takes there: while a resize is under way, the largest of what is
    desired, allocated and in force (KEP-1287). ``desired``: ``of`` the same pod."""
    if not _is_resizing(pod):
        return desired
    effective = msgspec.structs.replace(
        pod.spec,
        containers=_effective(pod, pod.spec.containers),
        initContainers=_effective(pod, pod.spec.initContainers),
    )
    own, status = pod.spec.resources, pod.status
    if own is not None and status.resources is not None:
        requests = pod_resources.effective(
            pod, own.requests, status.resources.requests, status.allocatedResources
        )
        largest = {name: str(amount) for name, amount in requests.items() if name in own.requests}
        effective.resources = msgspec.structs.replace(own, requests=largest)
    return of(msgspec.structs.replace(pod, spec=effective))


def _is_resizing(pod: Pod) -> bool:
    """Whether what is desired, allocated and in force differ."""
    status = pod.status
    if not status.containerStatuses:
        return False
    own = pod.spec.resources
    if own is not None and status.resources is not None:
        if any(status.allocatedResources.get(name) != own.requests[name] for name in own.requests):
            return True
        if any(status.resources.requests.get(name) != own.requests[name] for name in own.requests):
            return True
    reported = {item.name: item for item in status.containerStatuses}
    for item in status.initContainerStatuses:
        reported[item.name] = item
    for container in (*pod.spec.containers, *pod.spec.initContainers):
        found = reported.get(container.name)
        if found is None or found.resources is None:
            continue
        requests = container.resources.requests
        if found.resources.requests != requests or found.allocatedResources != requests:
            return True
    return False


def _effective(pod: Pod, containers: list[Container]) -> list[Container]:
    running = pod_resources.resizable(pod)
    made = []
    for container in containers:
        status = running.get(container.name)
        if status is not None and status.resources is not None:
            requests = pod_resources.effective(
                pod,
                container.resources.requests,
                status.resources.requests,
                status.allocatedResources,
            )
            texts = {name: str(amount) for name, amount in requests.items()}
            changed = msgspec.structs.replace(container.resources, requests=texts)
            container = msgspec.structs.replace(container, resources=changed)
        made.append(container)
    return made


def _filled(container: Container) -> dict[str, int]:
    asked = resources(container.resources.requests)
    asked.setdefault("cpu", DEFAULT_CPU)
    asked.setdefault("memory", DEFAULT_MEMORY)
    return asked


def _total(pod: Pod, of_container: Callable[[Container], dict[str, int]]) -> dict[str, int]:
    """The larger of all containers together and of each init container with the sidecars that
    were started before it."""
    total: dict[str, int] = {}
    for container in pod.spec.containers:
        _add(total, of_container(container))
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in pod.spec.initContainers:
        asked = of_container(container)
        if container.restartPolicy == "Always":
            _add(sidecars, asked)
            _add(total, asked)
            _raise(peak, sidecars)
        else:
            together = dict(sidecars)
            _add(together, asked)
            _raise(peak, together)
    _raise(total, peak)
    return total


def _add(into: dict[str, int], more: Mapping[str, int]) -> None:
    for name, value in more.items():
        into[name] = into.get(name, 0) + value


def _raise(into: dict[str, int], floor: Mapping[str, int]) -> None:
    for name, value in floor.items():
        into[name] = max(into.get(name, 0), value)


def _ports(*groups: Iterable[Container]) -> Iterable[tuple[str, str, int]]:
    """(protocol, address, port) of every host port."""
    for group in groups:
        for container in group:
            if group is not groups[0] and container.restartPolicy != "Always":
                continue
            for port in container.ports:
                if port.hostPort:
                    yield port.protocol or "TCP", port.hostIP or "0.0.0.0", port.hostPort
