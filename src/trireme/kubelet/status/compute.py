"""The whole PodStatus of a pod. Pure.

In: ``Facts`` about one pod. Out: ``PodStatus``. Called by workers, twice per round. Rules:
reference "Phase", "Conditions"; KEP-5067 (observedGeneration).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from trireme.api.core import v1 as core
from trireme.api.core.v1.pod import qos
from trireme.kubelet import podresources, podspec
from trireme.kubelet.observe.model import ObservedPod
from trireme.kubelet.probes.decide import ProbeResults
from trireme.kubelet.resize.allocation import Resources
from trireme.kubelet.status import conditions, containers
from trireme.kubelet.status.phase import phase as phase_of
from trireme.kubelet.sync import plan
from trireme.kubelet.sync.plan import WaitingReason
from trireme.machinery import time

MAX_MESSAGES = 12 << 10  # bytes of termination messages of all containers together


class Failure(msgspec.Struct, frozen=True):
    """The reason for which the kubelet failed the pod (rejected, evicted, deadline exceeded).

    ``disruption``: the message of its DisruptionTarget, where the pod was ended for the node's sake
    (KEP-3329)."""

    reason: str
    message: str
    disruption: str = ""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """``old`` is the status that was computed last, or the API's if none was."""

    pod: core.Pod
    observed: ObservedPod
    old: core.PodStatus
    now: float
    host_ips: tuple[str, ...] = ()
    reasons: Mapping[str, WaitingReason] = {}
    probes: ProbeResults = ProbeResults()
    terminal: bool = False
    failure: Failure | None = None
    runtime: str = containers.RUNTIME
    # The resources in force where a resize is being carried out, and its conditions.
    actuated: Resources | None = None
    resizes: tuple[core.PodCondition, ...] = ()


def compute(facts: Facts) -> core.PodStatus:
    """The status to report now."""
    pod, old = facts.pod, facts.old
    status = core.PodStatus(observedGeneration=max(pod.metadata.generation, old.observedGeneration))
    for kind, name in (
        ("container", "containerStatuses"),
        ("init", "initContainerStatuses"),
        ("ephemeral", "ephemeralContainerStatuses"),
    ):
        setattr(
            status,
            name,
            containers.statuses(
                pod,
                kind,
                facts.observed,
                getattr(old, name),
                facts.reasons,
                facts.probes,
                runtime=facts.runtime,
                actuated=facts.actuated,
            ),
        )
    _limit_messages(pod, status)
    by_name = {s.name: s for s in (*status.initContainerStatuses, *status.containerStatuses)}
    regular_started = any(
        s.state.running is not None
        or s.state.terminated is not None
        or s.lastState.terminated is not None
        for s in status.containerStatuses
    )
    status.phase = phase_of(pod, by_name, terminal=facts.terminal, initialized=regular_started)
    _keep_terminal(facts, status)
    _set_reason(facts, status)
    status.qosClass = old.qosClass or qos.of(pod.spec)
    _set_resources(facts, status)
    _set_addresses(facts, status)
    status.startTime = old.startTime or time.format(facts.now)
    _carry_over(facts, status)
    _set_conditions(facts, status, by_name, regular_started)
    return status


def rejected(pod: core.Pod, failure: Failure, now: float) -> core.PodStatus:
    """The status of a pod that this node rejects: it never had containers here."""
    return msgspec.structs.replace(
        pod.status,
        phase="Failed",
        reason=failure.reason,
        message=f"Pod was rejected: {failure.message}",
        conditions=[c for c in pod.status.conditions if c.type not in conditions.OWNED],
        initContainerStatuses=[],
        containerStatuses=[],
        ephemeralContainerStatuses=[],
        startTime=pod.status.startTime or time.format(now),
        observedGeneration=pod.metadata.generation,
        qosClass=pod.status.qosClass or qos.of(pod.spec),
    )


def terminated(status: core.PodStatus) -> core.PodStatus:
    """The final status of a pod without running containers: Succeeded or Failed."""
    if podspec.is_terminal(status):
        return status
    lost = core.ContainerState(
        terminated=core.ContainerStateTerminated(
            reason=containers.LOST,
            exitCode=137,
            message="The container could not be located when the pod was terminated",
        )
    )
    started = any(
        s.state.running is not None
        or s.state.terminated is not None
        or s.lastState.terminated is not None
        for s in status.containerStatuses
    )
    statuses = status.containerStatuses
    if started:
        statuses = [
            s
            if s.state.terminated is not None
            else msgspec.structs.replace(s, state=lost, ready=False, started=False)
            for s in statuses
        ]
    conditions_ = [
        msgspec.structs.replace(c, status="False", reason=conditions.FAILED, message="")
        if c.type in (conditions.READY, conditions.CONTAINERS_READY)
        else c
        for c in status.conditions
    ]
    return msgspec.structs.replace(
        status, phase="Failed", containerStatuses=statuses, conditions=conditions_
    )


def withhold_terminal(status: core.PodStatus, old: core.PodStatus) -> core.PodStatus:
    """``status`` without a terminal phase: it must not be reported while containers may still run,
    because the pod's resources and name would be reused."""
    if not podspec.is_terminal(status) or podspec.is_terminal(old):
        return status
    return msgspec.structs.replace(
        status, phase=old.phase or "Pending", reason=old.reason, message=old.message
    )


def _limit_messages(pod: core.Pod, status: core.PodStatus) -> None:
    """Limit each container's termination message to an equal share of the pod's limit."""
    part = MAX_MESSAGES // max(sum(1 for _ in podspec.containers(pod)), 1)
    for of_container in (
        *status.initContainerStatuses,
        *status.containerStatuses,
        *status.ephemeralContainerStatuses,
    ):
        of_container.state = _limited(of_container.state, part)
        of_container.lastState = _limited(of_container.lastState, part)


def _limited(state: core.ContainerState, limit: int) -> core.ContainerState:
    ended = state.terminated
    if ended is None or len(ended.message) * 4 <= limit:
        return state
    message = ended.message.encode("utf-8", "surrogateescape")[:limit].decode("utf-8", "replace")
    return core.ContainerState(terminated=msgspec.structs.replace(ended, message=message))


def _keep_terminal(facts: Facts, status: core.PodStatus) -> None:
    """A terminal phase, with its reason, never changes."""
    for earlier in (facts.old, facts.pod.status):
        if podspec.is_terminal(earlier):
            status.phase = earlier.phase
            return


def _set_reason(facts: Facts, status: core.PodStatus) -> None:
    if facts.failure is not None:
        status.phase = "Failed"
        status.reason, status.message = facts.failure.reason, facts.failure.message
    elif status.phase == facts.old.phase:
        status.reason = facts.old.reason or facts.pod.status.reason
        status.message = facts.old.message or facts.pod.status.message


def _set_resources(facts: Facts, status: core.PodStatus) -> None:
    """What is allocated to the whole pod, and what of it is in force."""
    pod, actuated = facts.pod, facts.actuated
    status.allocatedResources = podresources.texts(podresources.pod_requests(pod))
    if actuated is not None:
        spec = msgspec.structs.replace(
            pod.spec,
            resources=actuated.pod,
            containers=[_in_force(c, actuated) for c in pod.spec.containers],
            initContainers=[_in_force(c, actuated) for c in pod.spec.initContainers],
        )
        pod = msgspec.structs.replace(pod, spec=spec)
    status.resources = core.ResourceRequirements(
        requests=podresources.texts(podresources.pod_requests(pod)),
        limits=podresources.texts(podresources.pod_limits(pod)),
    )


def _in_force(container: core.Container, actuated: Resources) -> core.Container:
    resources = actuated.containers.get(container.name, container.resources)
    return msgspec.structs.replace(container, resources=resources)


def _set_addresses(facts: Facts, status: core.PodStatus) -> None:
    if facts.host_ips:
        status.hostIP = facts.host_ips[0]
        status.hostIPs = [core.HostIP(ip=ip) for ip in facts.host_ips]
    if podspec.is_host_network(facts.pod):
        ips = facts.host_ips
    else:
        # A finished pod keeps its address.
        ips = facts.observed.ips or tuple(ip.ip for ip in facts.old.podIPs)
    status.podIPs = [core.PodIP(ip=ip) for ip in _one_per_family(ips)]
    status.podIP = status.podIPs[0].ip if status.podIPs else ""


def _one_per_family(ips: tuple[str, ...]) -> list[str]:
    families: dict[bool, str] = {}
    for ip in ips:
        families.setdefault(":" in ip, ip)
    return list(families.values())


def _carry_over(facts: Facts, status: core.PodStatus) -> None:
    """Keep the fields of the status that other clients write."""
    api = facts.pod.status
    status.nominatedNodeName = api.nominatedNodeName
    status.resourceClaimStatuses = api.resourceClaimStatuses
    status.extendedResourceClaimStatus = api.extendedResourceClaimStatus
    status.nodeAllocatableResourceClaimStatuses = api.nodeAllocatableResourceClaimStatuses


def _set_conditions(
    facts: Facts,
    status: core.PodStatus,
    by_name: Mapping[str, core.ContainerStatus],
    regular_started: bool,
) -> None:
    pod = facts.pod
    foreign = [c for c in pod.status.conditions if c.type not in conditions.OWNED]
    of_containers = conditions.containers_ready(pod, by_name, status.phase)
    changed, _, _ = plan.sandbox_changed(pod, facts.observed)
    own = [
        conditions.ready_to_start(sandbox_ready=not changed),
        conditions.initialized(pod, by_name, status.phase, started=regular_started),
        conditions.ready(pod, of_containers, foreign),
        of_containers,
        conditions.scheduled(),
    ]
    if facts.failure is not None and facts.failure.disruption:
        foreign = [c for c in foreign if c.type != conditions.DISRUPTION]
        own.append(
            core.PodCondition(
                type=conditions.DISRUPTION,
                status="True",
                reason=conditions.BY_KUBELET,
                message=facts.failure.disruption,
            )
        )
    before = {c.type: c for c in (*pod.status.conditions, *facts.old.conditions)}
    for condition in own:
        condition.observedGeneration = pod.metadata.generation
        earlier = before.get(condition.type)
        if earlier is not None and earlier.status == condition.status:
            condition.lastTransitionTime = earlier.lastTransitionTime
        if condition.lastTransitionTime is None:
            condition.lastTransitionTime = time.format(facts.now)
    status.conditions = [*foreign, *own, *facts.resizes]
