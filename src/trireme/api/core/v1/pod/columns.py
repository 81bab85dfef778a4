"""The table of pods: what ``kubectl get pods`` prints.

In: a Pod and the time now. Out: columns with their cells. Called by: server-side printing. The
STATUS cell walks the container statuses in a fixed order, the last word wins: upstream's printPod.
"""

from __future__ import annotations

from typing import Final

from trireme.api import columns
from trireme.api.core.v1.pod import aggregate
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.status import ContainerState, ContainerStatus
from trireme.machinery import time
from trireme.machinery.resource import Column, Timed

_COMPLETED: Final = {
    "Succeeded": [
        {
            "type": "Completed",
            "status": "True",
            "reason": "Succeeded",
            "message": "The pod has completed successfully.",
        }
    ],
    "Failed": [
        {"type": "Completed", "status": "True", "reason": "Failed", "message": "The pod failed."}
    ],
}


def row_conditions(pod: Pod) -> list[dict[str, str]]:
    """Completed, for pods that are."""
    return _COMPLETED.get(pod.status.phase, [])


class Summary:
    """What is printed of a pod: counts and words gathered over its container statuses."""

    def __init__(self, pod: Pod) -> None:
        self.metadata, self.spec, self.status = pod.metadata, pod.spec, pod.status
        self.ready = 0
        self.restarts = 0
        self.last_restart = ""
        sidecars = {item.name for item in pod.spec.initContainers if aggregate.is_sidecar(item)}
        self.total = len(pod.spec.containers) + len(sidecars)
        status = pod.status
        self.reason = status.reason or status.phase
        gated = [
            item
            for item in status.conditions
            if item.type == "PodScheduled" and item.reason == "SchedulingGated"
        ]
        if gated:
            self.reason = "SchedulingGated"
        self._visited: list[ContainerStatus] = []
        through = self._initial(pod, sidecars)
        if through or _is_true(pod, "Initialized"):
            self._main(pod)
        if pod.metadata.deletionTimestamp is not None:
            if status.reason == "NodeLost":
                self.reason = "Unknown"
            elif status.phase not in ("Succeeded", "Failed"):
                self.reason = "Terminating"

    def _initial(self, pod: Pod, sidecars: set[str]) -> bool:
        """Walk the init containers; whether all have completed."""
        for position, item in enumerate(pod.status.initContainerStatuses):
            self._restarted(item)
            if item.name in sidecars:
                self._visited.append(item)
            ended, waiting = item.state.terminated, item.state.waiting
            if ended is not None and ended.exitCode == 0:
                continue
            if item.name in sidecars and item.started:
                self.ready += item.ready
                continue
            if ended is not None:
                self.reason = "Init:" + (ended.reason or _ending(item.state))
            elif waiting is not None and waiting.reason not in ("", "PodInitializing"):
                self.reason = "Init:" + waiting.reason
            else:
                self.reason = f"Init:{position}/{len(pod.spec.initContainers)}"
            return False
        return True

    def _main(self, pod: Pod) -> None:
        self.restarts, self.last_restart = 0, ""
        for item in self._visited:
            self._restarted(item)
        running, failure = False, ""
        for item in reversed(pod.status.containerStatuses):
            self._restarted(item)
            state = item.state
            if state.waiting is not None and state.waiting.reason:
                self.reason = state.waiting.reason
            elif state.terminated is not None:
                self.reason = state.terminated.reason or _ending(state)
                if state.terminated.exitCode != 0:
                    failure = self.reason
            elif item.ready and state.running is not None:
                running = True
                self.ready += 1
        if self.reason == "Completed":
            if running and _is_true(pod, "Ready"):
                self.reason = "Running"
            elif failure:
                self.reason = failure
            elif running:
                self.reason = "NotReady"

    def _restarted(self, item: ContainerStatus) -> None:
        self.restarts += item.restartCount
        ended = item.lastState.terminated
        if ended is None or not ended.finishedAt:
            return
        if not self.last_restart or time.parse(ended.finishedAt) > time.parse(self.last_restart):
            self.last_restart = ended.finishedAt


def _ending(state: ContainerState) -> str:
    assert state.terminated is not None
    if state.terminated.signal:
        return f"Signal:{state.terminated.signal}"
    return f"ExitCode:{state.terminated.exitCode}"


def _is_true(pod: Pod, condition: str) -> bool:
    return any(item.type == condition and item.status == "True" for item in pod.status.conditions)


def _restarts(pod: Summary, now: float) -> str:
    if pod.restarts and pod.last_restart:
        return f"{pod.restarts} ({columns.since(pod.last_restart, now)} ago)"
    return str(pod.restarts)


def _gates(pod: Summary) -> str:
    gates = pod.spec.readinessGates
    if not gates:
        return columns.NONE
    first: dict[str, str] = {}
    for condition in pod.status.conditions:
        first.setdefault(condition.type, condition.status)
    met = sum(first.get(gate.conditionType) == "True" for gate in gates)
    return f"{met}/{len(gates)}"


COLUMNS: Final = (
    columns.NAME,
    Column(
        "Ready",
        lambda pod: f"{pod.ready}/{pod.total}",
        "How many of the pod's containers are ready.",
    ),
    Column("Status", "reason", "The state of the pod's containers in one word."),
    Column("Restarts", Timed(_restarts), "How often containers were restarted, and when last."),
    columns.AGE,
    Column(
        "IP",
        lambda pod: pod.status.podIPs[0].ip if pod.status.podIPs else columns.NONE,
        "The pod's address in the cluster.",
        priority=1,
    ),
    Column(
        "Node",
        "spec.nodeName",
        "The node that the pod is bound to.",
        priority=1,
        empty=columns.NONE,
    ),
    Column(
        "Nominated Node",
        "status.nominatedNodeName",
        "The node where room is being made for it.",
        priority=1,
        empty=columns.NONE,
    ),
    Column("Readiness Gates", _gates, "How many extra conditions are met.", priority=1),
)
