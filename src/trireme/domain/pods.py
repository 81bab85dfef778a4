"""Predicates on a pod's status. Pure; for controllers and the API server.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/.
"""

from __future__ import annotations

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.status import PodCondition
from trireme.machinery import time

FINISHED = ("Succeeded", "Failed")


def is_finished(pod: Pod) -> bool:
    """All its containers have ended for good."""
    return pod.status.phase in FINISHED


def is_active(pod: Pod) -> bool:
    """It has neither finished nor is being deleted."""
    return not is_finished(pod) and pod.metadata.deletionTimestamp is None


def is_terminating(pod: Pod) -> bool:
    """It is being deleted and has not finished."""
    return not is_finished(pod) and pod.metadata.deletionTimestamp is not None


def condition(pod: Pod, kind: str) -> PodCondition | None:
    """The condition of a type."""
    return next((item for item in pod.status.conditions if item.type == kind), None)


def is_ready(pod: Pod) -> bool:
    """Whether its condition Ready is True."""
    found = condition(pod, "Ready")
    return found is not None and found.status == "True"


def ready_since(pod: Pod) -> float | None:
    """Since when it is ready, in seconds since 1970; None when it is not, or does not say."""
    found = condition(pod, "Ready")
    if found is None or found.status != "True" or not found.lastTransitionTime:
        return None
    return time.parse(found.lastTransitionTime)


def available_in(pod: Pod, min_ready: int, now: float) -> float | None:
    """Seconds until it has been ready for ``min_ready`` seconds, 0 when it has; None when it is
    not ready."""
    if not is_ready(pod):
        return None
    if min_ready == 0:
        return 0.0
    since = ready_since(pod)
    return None if since is None else max(0.0, since + min_ready - now)


def is_available(pod: Pod, min_ready: int, now: float) -> bool:
    """Whether it has been ready for ``min_ready`` seconds."""
    return available_in(pod, min_ready, now) == 0.0
