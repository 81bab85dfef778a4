"""What a pod requests and may use, as quotas and schedulers count it. Pure.

In: a Pod. Out: resource lists: containers together, what the pod itself declares instead, overhead.
While a resize is under way the larger of what is desired and what is there counts.
Upstream: component-helpers ``resource/helpers.go``; KEP-753, KEP-1287, KEP-2837.
"""

from __future__ import annotations

from collections.abc import Mapping

from trireme.api.core.v1.pod import aggregate
from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.status import ContainerStatus
from trireme.domain import pods, resource_lists
from trireme.domain.resource_lists import ZERO, ResourceList


def requests(pod: Pod) -> ResourceList:
    """The most that its containers request at any one time."""
    running = resizable(pod)

    def of(container: Container) -> ResourceList:
        own, status = container.resources.requests, running.get(container.name)
        if status is None or status.resources is None:
            return resource_lists.parse(own)
        return effective(pod, own, status.resources.requests, status.allocatedResources)

    total = aggregate.sum_up(pod.spec, of)
    if pod.spec.resources is not None:
        declared = _pod_level(pod.spec.resources.requests)
        if pod.status.resources is not None:
            actual = pod.status.resources.requests
            largest = effective(
                pod, pod.spec.resources.requests, actual, pod.status.allocatedResources
            )
            declared = {name: largest.get(name, ZERO) for name in declared}
        total |= declared
    return resource_lists.add(total, resource_lists.parse(pod.spec.overhead))


def limits(pod: Pod) -> ResourceList:
    """The most that its containers may use at any one time; what has no limit does not count."""
    running = resizable(pod)
    infeasible = _is_infeasible(pod)

    def of(container: Container) -> ResourceList:
        asked = resource_lists.parse(container.resources.limits)
        status = running.get(container.name)
        if status is None or status.resources is None:
            return asked
        actual = resource_lists.parse(status.resources.limits)
        return actual if infeasible else resource_lists.most(asked, actual)

    total = aggregate.sum_up(pod.spec, of)
    if pod.spec.resources is not None:
        declared = _pod_level(pod.spec.resources.limits)
        if pod.status.resources is not None:
            actual = resource_lists.parse(pod.status.resources.limits)
            largest = actual if infeasible else resource_lists.most(declared, actual)
            declared = {name: largest.get(name, ZERO) for name in declared}
        total |= declared
    overhead = resource_lists.parse(pod.spec.overhead)
    limited = {name: extra for name, extra in overhead.items() if total.get(name, ZERO)}
    return resource_lists.add(total, limited)


def effective(
    pod: Pod,
    desired: Mapping[str, str],
    actual: Mapping[str, str],
    allocated: Mapping[str, str],
) -> ResourceList:
    """The largest of the requests that are desired, in force and allocated; an infeasible resize
    does not count."""
    lists = [resource_lists.parse(actual), resource_lists.parse(allocated)]
    if not _is_infeasible(pod):
        lists.append(resource_lists.parse(desired))
    return resource_lists.most(*lists)


def is_pod_level(pod: Pod) -> bool:
    """Whether the pod itself declares resources, so that its containers need not."""
    declared = pod.spec.resources
    return declared is not None and any(
        aggregate.is_pod_level(name) for name in (*declared.requests, *declared.limits)
    )


def _pod_level(declared: Mapping[str, str]) -> ResourceList:
    return resource_lists.parse(
        {name: text for name, text in declared.items() if aggregate.is_pod_level(name)}
    )


def resizable(pod: Pod) -> dict[str, ContainerStatus]:
    """The statuses that say what a container has: those of containers that can be resized."""
    sidecars = {item.name for item in pod.spec.initContainers if aggregate.is_sidecar(item)}
    found = {status.name: status for status in pod.status.containerStatuses}
    for status in pod.status.initContainerStatuses:
        if status.name in sidecars:
            found[status.name] = status
    return found


def _is_infeasible(pod: Pod) -> bool:
    pending = pods.condition(pod, "PodResizePending")
    return pending is not None and pending.reason == "Infeasible"
