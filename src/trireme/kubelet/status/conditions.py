"""The conditions that the kubelet owns. Pure.

In: the pod, its statuses and phase. Out: ``PodCondition`` values without transition times (compute
adds those). Called by status/compute. Rules: reference "Conditions owned by kubelet"; KEP-580
(readiness gates), KEP-3085 (PodReadyToStartContainers).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trireme.api.core import v1 as core
from trireme.kubelet import podspec
from trireme.kubelet.resize.conditions import TYPES as RESIZE

READY_TO_START = "PodReadyToStartContainers"
INITIALIZED = "Initialized"
READY = "Ready"
CONTAINERS_READY = "ContainersReady"
SCHEDULED = "PodScheduled"
OWNED = (READY_TO_START, INITIALIZED, READY, CONTAINERS_READY, SCHEDULED, *RESIZE)

# Shared with other components that disrupt pods (KEP-3329); the reason names the kubelet.
DISRUPTION = "DisruptionTarget"
BY_KUBELET = "TerminationByKubelet"

NOT_READY = "ContainersNotReady"
NOT_INITIALIZED = "ContainersNotInitialized"
COMPLETED = "PodCompleted"
FAILED = "PodFailed"
GATES_NOT_READY = "ReadinessGatesNotReady"


def containers_ready(
    pod: core.Pod, statuses: Mapping[str, core.ContainerStatus], phase: str
) -> core.PodCondition:
    names = [c.name for c in pod.spec.initContainers if podspec.is_sidecar(c)]
    names += [c.name for c in pod.spec.containers]
    unknown = [name for name in names if name not in statuses]
    unready = [name for name in names if name in statuses and not statuses[name].ready]
    if phase == "Failed":
        return _false(CONTAINERS_READY, FAILED)
    if phase == "Succeeded" and not unknown:
        return _false(CONTAINERS_READY, COMPLETED)
    message = _names(("unknown", unknown), ("unready", unready))
    return _false(CONTAINERS_READY, NOT_READY, message) if message else _true(CONTAINERS_READY)


def ready(
    pod: core.Pod, of_containers: core.PodCondition, present: Sequence[core.PodCondition]
) -> core.PodCondition:
    if of_containers.status != "True":
        return _false(READY, of_containers.reason, of_containers.message)
    by_type = {condition.type: condition for condition in present}
    problems = []
    for gate in pod.spec.readinessGates:
        condition = by_type.get(gate.conditionType)
        if condition is None:
            problems.append(
                f'corresponding condition of pod readiness gate "{gate.conditionType}" '
                "does not exist."
            )
        elif condition.status != "True":
            problems.append(
                f'the status of pod readiness gate "{gate.conditionType}" is not '
                f'"True", but {condition.status}'
            )
    return _false(READY, GATES_NOT_READY, ", ".join(problems)) if problems else _true(READY)


def initialized(
    pod: core.Pod, statuses: Mapping[str, core.ContainerStatus], phase: str, *, started: bool
) -> core.PodCondition:
    """``started``: a regular container has started, so that initialization is complete."""
    unknown, incomplete = [], []
    for container in pod.spec.initContainers:
        status = statuses.get(container.name)
        if status is None:
            unknown.append(container.name)
        elif not (status.started if podspec.is_sidecar(container) else status.ready):
            incomplete.append(container.name)
    if phase == "Succeeded" and not unknown:
        return core.PodCondition(type=INITIALIZED, status="True", reason=COMPLETED)
    message = _names(("unknown", unknown), ("incomplete", incomplete))
    if message and not started:
        return _false(INITIALIZED, NOT_INITIALIZED, message)
    return _true(INITIALIZED)


def ready_to_start(*, sandbox_ready: bool) -> core.PodCondition:
    return _true(READY_TO_START) if sandbox_ready else _false(READY_TO_START)


def scheduled() -> core.PodCondition:
    return _true(SCHEDULED)


def _names(*lists: tuple[str, list[str]]) -> str:
    return ", ".join(
        f"containers with {what} status: [{' '.join(names)}]" for what, names in lists if names
    )


def _true(kind: str) -> core.PodCondition:
    return core.PodCondition(type=kind, status="True")


def _false(kind: str, reason: str = "", message: str = "") -> core.PodCondition:
    return core.PodCondition(type=kind, status="False", reason=reason, message=message)
