"""What a resize has to change, and in which order. Pure.

In: a pod with its allocated resources, its observed state, what is in force. Out: ``Resize``, and
the steps that carry it out. Called by ``worker`` and resize/actuate. Rules: KEP-1287 "Kubelet and
API Server Interaction"; the kubelet's doPodResizeAction.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from trireme.api.core import v1 as core
from trireme.kubelet import podresources
from trireme.kubelet.cgroups.plan import Limits
from trireme.kubelet.observe.model import ObservedPod
from trireme.kubelet.resize import allocation
from trireme.kubelet.resize.allocation import RESIZABLE, Resources

Quantities = Mapping[str, int]  # of cpu (thousandths) and memory (bytes); 0: none


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """Give a running container other amounts of one resource."""

    container_id: str
    name: str
    resource: str
    requests: Quantities
    limits: Quantities
    grows: bool
    # The new limit, where it is lower than the one in force or there was none.
    lower_limit: int = 0


class PodLimits(msgspec.Struct, frozen=True):
    """Write some of the pod's cgroup values."""

    limits: Limits


Step = Update | PodLimits


class Resize(msgspec.Struct, frozen=True):
    """``restarts``: containers that their resizePolicy restarts, by name."""

    restarts: frozenset[str] = frozenset()
    updates: tuple[Update, ...] = ()


def plan(pod: core.Pod, observed: ObservedPod, actuated: Resources | None) -> Resize:
    """What differs between ``pod``'s resources and ``actuated`` in its running containers."""
    if actuated is None:
        return Resize()
    restarts: set[str] = set()
    updates: list[Update] = []
    for container in (*pod.spec.containers, *pod.spec.initContainers):
        latest = observed.latest(container.name)
        before = actuated.containers.get(container.name)
        if latest is None or not latest.running or before is None:
            continue
        desired = allocation.effective(pod.spec.resources, container.resources)
        changed = [name for name in RESIZABLE if _differs(desired, before, name)]
        if any(_policy(container, name) == "RestartContainer" for name in changed):
            restarts.add(container.name)
            continue
        updates += _updates(latest.id, container.name, changed, desired, before)
    # What shrinks makes room for what grows.
    updates.sort(key=lambda update: update.grows)
    return Resize(frozenset(restarts), tuple(updates))


def steps(resize: Resize, current: Limits, desired: Limits) -> list[Step]:
    """Memory, then CPU. The pod's limit is never below those of its containers: it grows before
    them and shrinks after them. 0 in ``desired`` leaves the pod's value as it is."""
    return [
        *_steps(resize, "memory", _pod_steps(current, desired, ("memory",))),
        *_steps(resize, "cpu", _pod_steps(current, desired, ("cpu_quota", "cpu_shares"))),
    ]


def growth(current: Limits, desired: Limits) -> list[PodLimits]:
    """The pod's values that grow: before containers start with more."""
    return [
        PodLimits(limits)
        for name in ("memory", "cpu_quota", "cpu_shares")
        for grows, limits in _pod_steps(current, desired, (name,))
        if grows
    ]


def shrinks_pod(current: Limits, desired: Limits) -> bool:
    """Whether the pod's memory limit goes down."""
    return any(not grows for grows, _ in _pod_steps(current, desired, ("memory",)))


def _pod_steps(
    current: Limits, desired: Limits, names: tuple[str, ...]
) -> list[tuple[bool, Limits]]:
    """Whether it grows, and what to write; limits before requests where they grow."""
    found = []
    for name in names:
        now, new = getattr(current, name), getattr(desired, name)
        if new and new != now:
            # Without a limit so far (0), any limit is less.
            found.append((bool(now) and new > now, Limits(**{name: new})))
    return found


def _steps(resize: Resize, resource: str, of_pod: list[tuple[bool, Limits]]) -> list[Step]:
    return [
        *(PodLimits(limits) for grows, limits in of_pod if grows),
        *(update for update in resize.updates if update.resource == resource),
        *(PodLimits(limits) for grows, limits in reversed(of_pod) if not grows),
    ]


def _updates(
    container_id: str,
    name: str,
    changed: list[str],
    desired: core.ResourceRequirements,
    before: core.ResourceRequirements,
) -> list[Update]:
    """One for each changed resource, which keeps the other as it is in force until its turn:
    memory comes first."""
    found = []
    requests, limits = _quantities(before.requests), _quantities(before.limits)
    for resource in sorted(changed, key=("memory", "cpu").index):
        limit, request = limits[resource], requests[resource]
        new_limit = podresources.value(desired.limits, resource)
        new_request = podresources.value(desired.requests, resource)
        requests, limits = {**requests, resource: new_request}, {**limits, resource: new_limit}
        grows = new_limit > limit if new_limit != limit else new_request > request
        lower = new_limit if new_limit and (not limit or new_limit < limit) else 0
        found.append(
            Update(
                container_id=container_id,
                name=name,
                resource=resource,
                requests=requests,
                limits=limits,
                grows=grows,
                lower_limit=lower,
            )
        )
    return found


def _quantities(side: dict[str, str]) -> dict[str, int]:
    return {name: podresources.value(side, name) for name in RESIZABLE}


def _differs(one: core.ResourceRequirements, other: core.ResourceRequirements, name: str) -> bool:
    return podresources.value(one.requests, name) != podresources.value(
        other.requests, name
    ) or podresources.value(one.limits, name) != podresources.value(other.limits, name)


def _policy(container: core.Container, name: str) -> str:
    return next(
        (p.restartPolicy for p in container.resizePolicy if p.resourceName == name), "NotRequired"
    )
