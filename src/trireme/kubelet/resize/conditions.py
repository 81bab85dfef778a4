"""The conditions and events of resizes. Pure.

In: a pod, and what was decided about its resize. Out: ``PodResizePending``,
``PodResizeInProgress``, and the messages of events. Called by resize/manager. Rules: KEP-1287;
the kubelet's events ``Resize*``, whose messages tools parse.
"""

from __future__ import annotations

import msgspec

from trireme.api.core import v1 as core
from trireme.machinery import time

PENDING, IN_PROGRESS = "PodResizePending", "PodResizeInProgress"
DEFERRED, INFEASIBLE, ERROR = "Deferred", "Infeasible", "Error"
TYPES = (PENDING, IN_PROGRESS)


class _Allocation(msgspec.Struct):
    name: str
    resources: dict[str, dict[str, str]]


class _Summary(msgspec.Struct, omit_defaults=True):
    initContainers: list[_Allocation] = []
    containers: list[_Allocation] = []
    generation: int = msgspec.field(default_factory=lambda: -1)
    error: str = ""


def message(prefix: str, pod: core.Pod, generation: int, error: str = "") -> str:
    """``Pod resize started: {...}``: an event's message."""
    summary = _Summary(
        initContainers=[_allocation(c) for c in pod.spec.initContainers],
        containers=[_allocation(c) for c in pod.spec.containers],
        generation=generation,
        error=error,
    )
    return f"{prefix}: {msgspec.json.encode(summary).decode()}"


def condition(
    kind: str,
    before: core.PodCondition | None,
    reason: str,
    text: str,
    generation: int,
    now: float,
) -> core.PodCondition:
    """The condition; its transition is when it appeared or its reason changed last."""
    since = time.format(now)
    if before is not None and before.reason == reason and before.lastTransitionTime:
        since = before.lastTransitionTime
    return core.PodCondition(
        type=kind,
        status="True",
        reason=reason,
        message=text,
        observedGeneration=generation,
        lastTransitionTime=since,
    )


def _allocation(container: core.Container) -> _Allocation:
    sides = {
        "limits": container.resources.limits,
        "requests": container.resources.requests,
    }
    filled = {name: dict(sorted(side.items())) for name, side in sides.items() if side}
    return _Allocation(container.name, filled)
