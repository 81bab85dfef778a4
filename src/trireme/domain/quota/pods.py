"""What pods use of quotas: themselves, and the compute resources of those that have not ended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from trireme.api.core.v1 import resource_names
from trireme.api.core.v1.pod import qos
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.selection import ScopedResourceSelectorRequirement
from trireme.domain import pod_resources, pods, resource_lists
from trireme.domain.quota.contract import Evaluator, selects
from trireme.domain.resource_lists import ResourceList
from trireme.machinery import quantity, time

REQUESTS: Final = resource_names.REQUESTS
DEVICE_CLASS: Final = "deviceclass.resource.kubernetes.io/"
_ONE: Final = quantity.of(1)
_OBJECTS: Final = "count/pods"
_COMPUTE: Final = ("cpu", "memory", "ephemeral-storage")
_NAMES: Final = frozenset(
    (_OBJECTS, "pods", *_COMPUTE)
    + tuple(f"requests.{name}" for name in _COMPUTE)
    + tuple(f"limits.{name}" for name in _COMPUTE)
)
# Where one of these is limited, every container has to declare it.
_TO_DECLARE: Final = frozenset(
    ("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
)


class Pods(Evaluator):
    """``pods`` and compute resources end with the pod, ``count/pods`` with the object."""

    group_resource = "pods"

    def names(self, limited: Iterable[str]) -> list[str]:
        return [name for name in limited if name in _NAMES or _is_counted(name)]

    def handles(self, operation: str, subresource: str, new: Any, old: Any) -> bool:
        if subresource:
            return subresource == "resize" and operation == "UPDATE"
        if operation == "UPDATE":
            return has_deadline(new) != has_deadline(old)
        return operation == "CREATE"

    def in_scope(self, scope: ScopedResourceSelectorRequirement, obj: Any) -> bool:
        pod: Pod = obj
        match scope.scopeName:
            case "Terminating":
                return has_deadline(pod)
            case "NotTerminating":
                return not has_deadline(pod)
            case "BestEffort":
                return _class(pod) == qos.BEST_EFFORT
            case "NotBestEffort":
                return _class(pod) != qos.BEST_EFFORT
            case "PriorityClass":
                name = pod.spec.priorityClassName
                return selects(scope, [name] if name else [])
            case "CrossNamespacePodAffinity":
                return _crosses_namespaces(pod)
        return False

    def missing(self, required: Iterable[str], obj: Any) -> str:
        pod: Pod = obj
        if pod_resources.is_pod_level(pod):
            return ""
        lacking: dict[str, set[str]] = {}
        needed = _TO_DECLARE.intersection(required)
        for container in (*pod.spec.containers, *pod.spec.initContainers):
            declared = _compute(
                resource_lists.parse(container.resources.requests),
                resource_lists.parse(container.resources.limits),
            )
            for name in needed - declared.keys():
                lacking.setdefault(name, set()).add(container.name)
        parts = [f"{name} for: {','.join(sorted(lacking[name]))}" for name in sorted(lacking)]
        return f"must specify {'; '.join(parts)}" if parts else ""

    def usage(self, obj: Any, now: float) -> ResourceList:
        pod: Pod = obj
        if not counts(pod, now):
            return {_OBJECTS: _ONE}
        used = _compute(pod_resources.requests(pod), pod_resources.limits(pod))
        return {_OBJECTS: _ONE, **used}


def counts(pod: Pod, now: float) -> bool:
    """Whether the pod uses compute resources: it has not ended, nor outstayed its deletion."""
    if pods.is_finished(pod):
        return False
    meta = pod.metadata
    if meta.deletionTimestamp is None or meta.deletionGracePeriodSeconds is None:
        return True
    return now <= time.parse(meta.deletionTimestamp) + meta.deletionGracePeriodSeconds


def has_deadline(pod: Pod) -> bool:
    """Whether the pod is in the scope Terminating."""
    deadline = pod.spec.activeDeadlineSeconds
    return deadline is not None and deadline >= 0


def replenishes(old: Pod, new: Pod, now: float) -> bool:
    """Whether the update of a pod changes what it uses."""
    return (
        has_deadline(old) != has_deadline(new)
        or (counts(old, now) and not counts(new, now))
        or _resources(old) != _resources(new)
    )


def _resources(pod: Pod) -> dict[str, Any]:
    statuses = (*pod.status.containerStatuses, *pod.status.initContainerStatuses)
    return {status.name: status.resources for status in statuses if status.resources is not None}


def _class(pod: Pod) -> str:
    return pod.status.qosClass or qos.of(pod.spec)


def _is_counted(name: str) -> bool:
    """Huge pages, and what devices offer: quotas limit its requests."""
    if name.startswith((resource_names.HUGE_PAGES, REQUESTS + resource_names.HUGE_PAGES)):
        return True
    foreign = not resource_names.is_native(name)
    return name.startswith(REQUESTS) and (foreign or name.startswith(REQUESTS + DEVICE_CLASS))


def _compute(requests: ResourceList, limits: ResourceList) -> ResourceList:
    used: ResourceList = {"pods": _ONE}
    for name in _COMPUTE:
        if name in requests:
            used[name] = used[REQUESTS + name] = requests[name]
        if name in limits:
            used[f"limits.{name}"] = limits[name]
    for name, amount in requests.items():
        if resource_names.is_huge_pages(name):
            used[name] = used[REQUESTS + name] = amount
        elif resource_names.is_extended(name) or name.startswith(DEVICE_CLASS):
            used[REQUESTS + name] = amount
    return used


def _crosses_namespaces(pod: Pod) -> bool:
    affinity = pod.spec.affinity
    if affinity is None:
        return False
    for group in (affinity.podAffinity, affinity.podAntiAffinity):
        if group is None:
            continue
        terms = [*group.requiredDuringSchedulingIgnoredDuringExecution]
        terms += [
            weighted.podAffinityTerm
            for weighted in group.preferredDuringSchedulingIgnoredDuringExecution
        ]
        if any(term.namespaces or term.namespaceSelector is not None for term in terms):
            return True
    return False
