"""Put allocated resources in force: cgroups of the pod, and of its running containers.

In: a pod with its allocated resources, and the ``Resize`` that was planned for it. Out: changed
cgroups; ``ResizeFailure`` where one step failed, after which a later round does the rest. Called by
``worker``. Rules: the kubelet's doPodResizeAction.
"""

from __future__ import annotations

import msgspec

from trireme.api.core import v1 as core
from trireme.kubelet.cgroups import plan as cgroup_plan
from trireme.kubelet.cgroups.apply import Cgroups
from trireme.kubelet.cgroups.plan import Limits
from trireme.kubelet.cri.contract import Runtime, RuntimeFailure
from trireme.kubelet.resize import plan as planning
from trireme.kubelet.resize.plan import PodLimits, Resize, Update
from trireme.kubelet.resize.store import Allocations
from trireme.kubelet.sync import compute


class ResizeFailure(Exception):
    """The message is that of the pod's condition."""


class Actuator:
    """Carries out resizes on one node. ``parent``: the cgroup of all pods."""

    def __init__(
        self, runtime: Runtime, cgroups: Cgroups, allocations: Allocations, parent: str
    ) -> None:
        self._runtime = runtime
        self._cgroups = cgroups
        self._allocations = allocations
        self._parent = parent

    def grow(self, pod: core.Pod) -> None:
        """Make room in the pod's cgroup for containers that start with more."""
        path, desired = self._pod(pod)
        for step in planning.growth(self._cgroups.read(path), desired):
            self._cgroups.ensure(path, step.limits)

    async def run(self, pod: core.Pod, resize: Resize, memory_capacity: int) -> None:
        path, desired = self._pod(pod)
        current = self._cgroups.read(path)
        await self._check_memory(path, resize, current, desired)
        try:
            for step in planning.steps(resize, current, desired):
                if isinstance(step, PodLimits):
                    self._cgroups.ensure(path, step.limits)
                else:
                    await self._update(pod, step, memory_capacity)
        except (RuntimeFailure, OSError) as failure:
            raise ResizeFailure(str(failure)) from failure

    def _pod(self, pod: core.Pod) -> tuple[str, Limits]:
        return cgroup_plan.pod_path(self._parent, pod), cgroup_plan.pod_limits(pod)

    async def _update(self, pod: core.Pod, step: Update, memory_capacity: int) -> None:
        container = next(
            c for c in (*pod.spec.initContainers, *pod.spec.containers) if c.name == step.name
        )
        resources = core.ResourceRequirements(
            requests={**container.resources.requests, **_texts(step.requests)},
            limits={**container.resources.limits, **_texts(step.limits)},
        )
        changed = msgspec.structs.replace(container, resources=resources)
        linux = compute.resources(pod, changed, memory_capacity, self._cgroups.v2)
        await self._runtime.update_resources(step.container_id, linux)
        self._allocations.started(pod.metadata.uid, step.name, resources)

    async def _check_memory(
        self, path: str, resize: Resize, current: Limits, desired: Limits
    ) -> None:
        """A limit below what is in use would kill the containers."""
        lower = {u.container_id: u for u in resize.updates if u.resource == "memory"}
        lower = {key: update for key, update in lower.items() if update.lower_limit}
        problems = []
        if planning.shrinks_pod(current, desired):
            usage = self._cgroups.memory_usage(path)
            if usage >= desired.memory:
                problems.append(_below("pod memory", desired.memory, usage))
        for stats in await self._runtime.list_stats() if lower else ():
            update = lower.get(stats.attributes.id) if stats.attributes is not None else None
            if update is None:
                continue
            usage = (
                stats.memory.usage_bytes or stats.memory.working_set_bytes or 0
                if (stats.memory is not None)
                else 0
            )
            if usage >= update.lower_limit:
                name = f'container "{update.name}" memory'
                problems.append(_below(name, update.lower_limit, usage))
        if problems:
            text = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
            raise ResizeFailure(f"cannot decrease memory limits: {text}")


def _below(what: str, limit: int, usage: int) -> str:
    return f"attempting to set {what} limit ({limit}) below current usage ({usage})"


def _texts(quantities: planning.Quantities) -> dict[str, str]:
    return {
        name: f"{amount}m" if name == "cpu" else str(amount) for name, amount in quantities.items()
    }
