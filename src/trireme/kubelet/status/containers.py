"""Container statuses. Pure.

In: the pod, its observed state, the previous statuses, reasons of failed starts, probe results.
Out: ``ContainerStatus`` lists: init containers in order of the specification, others by name.
Called by status/compute. Rules: reference "Container states and reasons".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from trireme.api.core import v1 as core
from trireme.kubelet import nanotime, podresources, podspec
from trireme.kubelet.cri.model import ContainerState
from trireme.kubelet.observe.model import ObservedContainer, ObservedPod
from trireme.kubelet.probes.decide import ProbeResults
from trireme.kubelet.resize.allocation import RESIZABLE, Resources
from trireme.kubelet.sync import plan
from trireme.kubelet.sync.plan import WaitingReason

LOST = "ContainerStatusUnknown"
LOST_MESSAGE = (
    "The container could not be located when the pod was deleted.  The container used to be Running"
)
INIT_FORGOTTEN = (
    "Unable to get init container status from container runtime and pod has been "
    "initialized, treat it as exited normally"
)
RUNTIME = "containerd"


def statuses(
    pod: core.Pod,
    kind: str,
    observed: ObservedPod,
    previous: Sequence[core.ContainerStatus],
    reasons: Mapping[str, WaitingReason],
    probes: ProbeResults,
    *,
    runtime: str = RUNTIME,
    actuated: Resources | None = None,
) -> list[core.ContainerStatus]:
    """``kind``: ``init``, ``container`` or ``ephemeral``."""
    before = {status.name: status for status in previous}
    found = [
        _status(pod, kind, container, observed, before.get(container.name), runtime, actuated)
        for of_kind, container in podspec.containers(pod)
        if of_kind == kind
    ]
    result = []
    for status in found:
        container = podspec.find(pod, status.name)
        assert container is not None
        _overlay_waiting(pod, kind, container, observed, status, reasons)
        if kind != "ephemeral":
            _set_started_and_ready(kind, container, status, before.get(status.name), probes)
        result.append(status)
    return result if kind == "init" else sorted(result, key=lambda status: status.name)


def _status(
    pod: core.Pod,
    kind: str,
    container: core.Container,
    observed: ObservedPod,
    old: core.ContainerStatus | None,
    runtime: str,
    actuated: Resources | None,
) -> core.ContainerStatus:
    instances = observed.instances(container.name)
    if not instances:
        return _unobserved(pod, container, old)
    status = _from_observed(container, instances[0], old, runtime)
    if kind != "ephemeral":
        status.allocatedResources = container.resources.requests
        status.resources = _resources(container, instances[0], actuated)
    if len(instances) > 1:
        status.lastState = _state(instances[1], runtime)
    elif old is not None:
        if old.containerID != status.containerID and old.state.terminated is not None:
            status.lastState = core.ContainerState(terminated=old.state.terminated)
        else:
            status.lastState = old.lastState
    return status


def _unobserved(
    pod: core.Pod, container: core.Container, old: core.ContainerStatus | None
) -> core.ContainerStatus:
    reason = "PodInitializing" if pod.spec.initContainers else "ContainerCreating"
    status = core.ContainerStatus(
        name=container.name,
        image=container.image,
        volumeMounts=_mounts(container),
        state=core.ContainerState(waiting=core.ContainerStateWaiting(reason=reason)),
    )
    if old is None:
        return status
    if old.state.terminated is not None:
        return msgspec.structs.replace(old)
    status.restartCount, status.lastState = old.restartCount, old.lastState
    if old.state.running is not None and old.lastState.terminated is None:
        # It ran, and the runtime lost it: report that it ended, else the pod looks pending.
        status.lastState = core.ContainerState(
            terminated=core.ContainerStateTerminated(
                reason=LOST, message=LOST_MESSAGE, exitCode=137
            )
        )
        if pod.metadata.deletionTimestamp is None:
            status.restartCount += 1
    return status


def _from_observed(
    container: core.Container,
    observed: ObservedContainer,
    old: core.ContainerStatus | None,
    runtime: str,
) -> core.ContainerStatus:
    # The count never decreases: the runtime may have lost containers that were reported.
    count = max(observed.restart_count, old.restartCount if old is not None else 0)
    status = core.ContainerStatus(
        name=observed.name,
        image=observed.image,
        imageID=observed.image_ref,
        restartCount=count,
        containerID=f"{runtime}://{observed.id}",
        state=_state(observed, runtime),
        volumeMounts=_mounts(container),
    )
    if observed.user is not None:
        status.user = core.ContainerUser(
            linux=core.LinuxContainerUser(
                uid=observed.user.uid,
                gid=observed.user.gid,
                supplementalGroups=list(observed.user.supplemental_groups),
            )
        )
    return status


def _resources(
    container: core.Container, observed: ObservedContainer, actuated: Resources | None
) -> core.ResourceRequirements:
    """The resources in force: as the runtime says, else as this kubelet put them in force."""
    allocated = container.resources
    if not observed.running:
        return allocated
    mine = allocated if actuated is None else actuated.containers.get(container.name, allocated)
    limits, requests = dict(allocated.limits), dict(allocated.requests)
    for side, ours in ((limits, mine.limits), (requests, mine.requests)):
        for name in RESIZABLE:
            if name in side and name in ours:
                side[name] = ours[name]
    linux = observed.resources
    if linux is not None:
        # The kernel's smallest values may stand for less.
        cpu_limit = podresources.milli_of_quota(linux.cpu_quota, linux.cpu_period)
        cpu_request = podresources.milli_of_shares(linux.cpu_shares)
        _overlay(limits, "cpu", cpu_limit, podresources.MIN_CPU_LIMIT)
        _overlay(requests, "cpu", cpu_request, podresources.MIN_SHARES)
        _overlay(limits, "memory", linux.memory_limit_in_bytes, 0)
    return core.ResourceRequirements(limits=limits, requests=requests, claims=allocated.claims)


def _overlay(side: dict[str, str], name: str, observed: int, smallest: int) -> None:
    own = podresources.value(side, name)
    if observed and name in side and observed != own and max(observed, own) > smallest:
        side[name] = podresources.text(name, observed)


def _state(observed: ObservedContainer, runtime: str) -> core.ContainerState:
    if observed.running:
        running = core.ContainerStateRunning(startedAt=nanotime.nanos_text(observed.started_at))
        return core.ContainerState(running=running)
    if observed.state == ContainerState.EXITED:
        return core.ContainerState(
            terminated=core.ContainerStateTerminated(
                exitCode=observed.exit_code,
                reason=observed.reason,
                message=observed.message,
                startedAt=nanotime.nanos_text(observed.started_at),
                finishedAt=nanotime.nanos_text(observed.finished_at),
                containerID=f"{runtime}://{observed.id}",
            )
        )
    return core.ContainerState(waiting=core.ContainerStateWaiting())


def _mounts(container: core.Container) -> list[core.VolumeMountStatus]:
    return [
        core.VolumeMountStatus(
            name=mount.name,
            mountPath=mount.mountPath,
            readOnly=mount.readOnly,
            recursiveReadOnly="Disabled" if mount.readOnly else None,
        )
        for mount in container.volumeMounts
    ]


def _overlay_waiting(
    pod: core.Pod,
    kind: str,
    container: core.Container,
    observed: ObservedPod,
    status: core.ContainerStatus,
    reasons: Mapping[str, WaitingReason],
) -> None:
    """A container that failed to start is Waiting, with the reason."""
    latest = observed.latest(container.name)
    if kind == "init":
        if latest is not None and latest.exited and latest.exit_code == 0:
            if not podspec.is_sidecar(container):
                return
        elif (
            latest is None
            and not podspec.is_sidecar(container)
            and status.state.waiting is not None
            and plan.has_regular_created(pod, observed)
        ):
            status.state = core.ContainerState(
                terminated=core.ContainerStateTerminated(
                    reason="Completed", message=INIT_FORGOTTEN, exitCode=0
                )
            )
            return
    reason = reasons.get(container.name)
    if reason is None or not plan.needs_restart(container, pod, observed):
        return
    if status.state.terminated is not None:
        status.lastState = status.state
    status.state = core.ContainerState(
        waiting=core.ContainerStateWaiting(reason=reason.reason, message=reason.message)
    )


def _set_started_and_ready(
    kind: str,
    container: core.Container,
    status: core.ContainerStatus,
    old: core.ContainerStatus | None,
    probes: ProbeResults,
) -> None:
    regular_init = kind == "init" and not podspec.is_sidecar(container)
    container_id = status.containerID.partition("://")[2]
    status.started = _started(container, status, old, probes, container_id)
    if regular_init:
        ended = status.state.terminated
        status.ready = ended is not None and ended.exitCode == 0
    elif status.started and status.state.running is not None:
        status.ready = _ready(container, status, old, probes, container_id)


def _started(
    container: core.Container,
    status: core.ContainerStatus,
    old: core.ContainerStatus | None,
    probes: ProbeResults,
    container_id: str,
) -> bool:
    if status.state.running is None:
        return False
    if container.startupProbe is None:
        return True
    result = probes.startup.get(container_id)
    if result is None:
        # After a restart of the kubelet: started containers stay started.
        return old is not None and old.containerID == status.containerID and bool(old.started)
    return result


def _ready(
    container: core.Container,
    status: core.ContainerStatus,
    old: core.ContainerStatus | None,
    probes: ProbeResults,
    container_id: str,
) -> bool:
    if container.readinessProbe is None:
        return True
    result = probes.readiness.get(container_id)
    if result is None:
        return old is not None and old.containerID == status.containerID and old.ready
    return result
