"""Which sandbox and containers of one pod to stop and to start. Pure.

In: a pod, its observed state, probe results, the crash backoff, now. Out: ``Plan``: a list of
actions in the order in which ``sync/execute`` executes them. Called by ``worker``. Rules: reference
"Restart", "Sidecars"; KEP-753; the kubelet's SyncPod. A plan is computed after every change, so
that it has only actions that are possible now.
"""

from __future__ import annotations

import msgspec

from trireme.api.core import v1 as core
from trireme.kubelet import podspec
from trireme.kubelet.backoff import Backoff
from trireme.kubelet.cri.model import ContainerState, NamespaceMode
from trireme.kubelet.observe.model import ObservedContainer, ObservedPod
from trireme.kubelet.probes.decide import ProbeResults

LIVENESS = "LivenessProbe"
STARTUP = "StartupProbe"
UNKNOWN = "Unknown"
CHANGED = ""


class Action(msgspec.Struct, frozen=True):
    """Base of the executor's actions."""


class KillPod(Action, frozen=True):
    """Stop every container, then every sandbox. ``replace``: a new sandbox follows."""

    replace: bool


class PurgeInit(Action, frozen=True):
    """Remove every init container, so that they run again in the new sandbox."""


class PruneInit(Action, frozen=True):
    """Remove ended init containers except each name's newest."""


class Kill(Action, frozen=True):
    container_id: str
    name: str
    message: str
    reason: str


class CreateSandbox(Action, frozen=True):
    attempt: int


class Start(Action, frozen=True):
    """Pull, create, start. ``restart_count`` None: unknown, to be taken from old logs."""

    name: str
    kind: str
    restart_count: int | None
    # Whether a failure ends the round (regular init containers) or skips this container only.
    required: bool = False


class Wait(Action, frozen=True):
    """The container would start, but is in its crash backoff until ``until`` (epoch seconds)."""

    name: str
    kind: str
    delay: float
    until: float
    required: bool = False


class Plan(msgspec.Struct, frozen=True):
    """``sandbox_id`` is the sandbox to start in, empty when ``actions`` creates or ends it."""

    actions: tuple[Action, ...] = ()
    sandbox_id: str = ""
    attempt: int = 0


class WaitingReason(msgspec.Struct, frozen=True):
    """The reason for which the last start of a container failed."""

    reason: str
    message: str


class _Draft:
    """The plan of one round so far."""

    def __init__(self, resized: frozenset[str] = frozenset()) -> None:
        self.resized = resized
        self.kill_pod = False
        self.kills: list[Kill] = []
        self.init: list[int] = []
        self.regular: list[int] = []
        self.ephemeral: list[int] = []


def plan(
    pod: core.Pod,
    observed: ObservedPod,
    probes: ProbeResults,
    crashes: Backoff,
    now: float,
    resized: frozenset[str] = frozenset(),
) -> Plan:
    """The actions for ``pod`` now; empty when its observed state is the desired one.

    ``resized``: running containers that a resize restarts, by name.
    """
    changed, attempt, sandbox_id = sandbox_changed(pod, observed)
    if changed:
        return _plan_new_sandbox(pod, observed, attempt, crashes, now)
    draft = _Draft(resized)
    draft.ephemeral = [
        index
        for index, container in enumerate(pod.spec.ephemeralContainers)
        if observed.latest(container.name) is None
    ]
    initialized = _plan_init(pod, observed, probes, draft)
    if initialized and not draft.kill_pod:
        _plan_regular(pod, observed, probes, draft)
    actions: list[Action] = []
    if draft.kill_pod:
        actions.append(KillPod(replace=False))
    else:
        actions += draft.kills
    if _prunable(pod, observed):
        actions.append(PruneInit())
    actions += _starts(pod, observed, draft, crashes, now)
    return Plan(tuple(actions), sandbox_id, attempt)


def sandbox_changed(pod: core.Pod, observed: ObservedPod) -> tuple[bool, int, str]:
    """Whether a new sandbox is needed, its attempt, and the present sandbox's id."""
    if not observed.sandboxes:
        return True, 0, ""
    newest = observed.sandboxes[0]
    ready = sum(1 for sandbox in observed.sandboxes if sandbox.ready)
    if ready > 1 or not newest.ready:
        return True, newest.attempt + 1, newest.id
    desired = NamespaceMode.NODE if podspec.is_host_network(pod) else NamespaceMode.POD
    if newest.network_mode != desired:
        return True, newest.attempt + 1, newest.id
    if not podspec.is_host_network(pod) and not newest.ips:
        return True, newest.attempt + 1, newest.id
    return False, newest.attempt, newest.id


def has_regular_created(pod: core.Pod, observed: ObservedPod) -> bool:
    """Whether any regular container was ever created: then initialization is complete."""
    return any(
        latest is not None and latest.state != ContainerState.UNKNOWN
        for latest in (observed.latest(container.name) for container in pod.spec.containers)
    )


def needs_restart(container: core.Container, pod: core.Pod, observed: ObservedPod) -> bool:
    """Whether a container that is not running should be."""
    if pod.metadata.deletionTimestamp is not None:
        return False
    latest = observed.latest(container.name)
    if latest is None:
        return True
    if latest.running:
        return False
    if latest.state in (ContainerState.UNKNOWN, ContainerState.CREATED):
        return True
    return podspec.should_restart(container, pod, latest.exit_code)


def crash_key(pod: core.Pod, container: core.Container) -> tuple[str, str, str]:
    """The key of the crash backoff: a changed image resets it."""
    return pod.metadata.uid, container.name, podspec.spec_hash(container)


def last_exit(observed: ObservedPod, name: str) -> ObservedContainer | None:
    return next((c for c in observed.instances(name) if c.exited), None)


# ---- a new sandbox


def _plan_new_sandbox(
    pod: core.Pod, observed: ObservedPod, attempt: int, crashes: Backoff, now: float
) -> Plan:
    actions: list[Action] = (
        [KillPod(replace=True)] if observed.sandboxes or observed.containers else []
    )
    if not podspec.restarts_on_failure(pod) and attempt and observed.containers:
        return Plan((KillPod(replace=False),), "", attempt)
    draft = _Draft()
    draft.regular = [
        index
        for index, container in enumerate(pod.spec.containers)
        if not _done(pod, container, observed)
    ]
    if not draft.regular and has_regular_created(pod, observed):
        return Plan((KillPod(replace=False),), "", attempt)
    if actions and pod.spec.initContainers:
        actions.append(PurgeInit())
    actions.append(CreateSandbox(attempt))
    if pod.spec.initContainers:
        draft.init, draft.regular = [0], []
    return Plan((*actions, *_starts(pod, observed, draft, crashes, now)), "", attempt)


def _done(pod: core.Pod, container: core.Container, observed: ObservedPod) -> bool:
    policy = container.restartPolicy or pod.spec.restartPolicy
    latest = observed.latest(container.name)
    return policy == "OnFailure" and latest is not None and latest.exited and latest.exit_code == 0


# ---- init containers


def _plan_init(pod: core.Pod, observed: ObservedPod, probes: ProbeResults, draft: _Draft) -> bool:
    """Fill ``draft`` for init containers; whether the regular ones may run.

    Walks backwards: the runtime may have lost early init containers, so that the last one that it
    has decides how far initialization is.
    """
    if not pod.spec.initContainers:
        return True
    initialized = any(
        latest is not None and latest.state in (ContainerState.CREATED, ContainerState.RUNNING)
        for latest in (observed.latest(container.name) for container in pod.spec.containers)
    )
    later_started = initialized
    last = len(pod.spec.initContainers) - 1
    for index in range(last, -1, -1):
        container = pod.spec.initContainers[index]
        sidecar = podspec.is_sidecar(container)
        latest = observed.latest(container.name)
        if latest is None:
            if later_started and sidecar:
                draft.init.append(index)
            continue
        if later_started and not sidecar:
            continue
        passed = _step_init(pod, container, latest, index, probes, draft)
        if draft.kill_pod:
            draft.init = []
            return False
        if passed:
            if index == last:
                initialized = True
            elif not later_started:
                draft.init.append(index + 1)
        later_started = True
    if not later_started:
        draft.init.append(0)
    draft.init = sorted(set(draft.init))
    return initialized


def _step_init(
    pod: core.Pod,
    container: core.Container,
    latest: ObservedContainer,
    index: int,
    probes: ProbeResults,
    draft: _Draft,
) -> bool:
    """One init container that the runtime has; whether the next one may start."""
    sidecar = podspec.is_sidecar(container)
    if latest.state == ContainerState.CREATED:
        # Created, but not started: retry.
        draft.init.append(index)
        return False
    if latest.running:
        return sidecar and _step_running_sidecar(container, latest, index, probes, draft)
    if latest.exited:
        if sidecar:
            draft.init.append(index)
            return False
        if latest.exit_code == 0:
            return True
        if not podspec.should_restart(container, pod, latest.exit_code):
            draft.kill_pod = True
            return False
        draft.init.append(index)
        return False
    if not sidecar and (container.restartPolicy or pod.spec.restartPolicy) == "Never":
        draft.kill_pod = True
        return False
    draft.kills.append(_kill_unknown(latest, "Init container"))
    draft.init.append(index)
    return False


def _step_running_sidecar(
    container: core.Container,
    latest: ObservedContainer,
    index: int,
    probes: ProbeResults,
    draft: _Draft,
) -> bool:
    if container.startupProbe is not None:
        started = probes.startup.get(latest.id)
        if started is None:
            return False
        if not started:
            message = f"Init container {container.name} failed startup probe"
            draft.kills.append(Kill(latest.id, container.name, message, STARTUP))
            draft.init.append(index)
            return False
    if latest.spec_hash != podspec.spec_hash(container):
        message = f"Init container {container.name} definition changed"
        draft.kills.append(Kill(latest.id, container.name, message, CHANGED))
        draft.init.append(index)
    elif container.livenessProbe is not None and probes.liveness.get(latest.id) is False:
        message = f"Init container {container.name} failed liveness probe"
        draft.kills.append(Kill(latest.id, container.name, message, LIVENESS))
        draft.init.append(index)
    elif container.name in draft.resized:
        draft.kills.append(_kill_resized(container, latest))
        draft.init.append(index)
    return True


# ---- regular containers


def _plan_regular(
    pod: core.Pod, observed: ObservedPod, probes: ProbeResults, draft: _Draft
) -> None:
    keep = 0
    for index, container in enumerate(pod.spec.containers):
        latest = observed.latest(container.name)
        if latest is None or not latest.running:
            if needs_restart(container, pod, observed):
                draft.regular.append(index)
                if latest is not None and latest.state == ContainerState.UNKNOWN:
                    draft.kills.append(_kill_unknown(latest, "Container"))
            continue
        cause = _kill_reason(container, latest, probes)
        if cause is None:
            keep += 1
            if container.name in draft.resized:
                draft.kills.append(_kill_resized(container, latest))
                draft.regular.append(index)
            continue
        message, reason = cause
        policy = container.restartPolicy or pod.spec.restartPolicy
        if reason == CHANGED or policy != "Never":
            message += ", will be restarted"
            draft.regular.append(index)
        draft.kills.append(Kill(latest.id, container.name, message, reason))
    if keep == 0 and not draft.regular:
        draft.kill_pod = True
        # Sidecars must not keep a pod running whose regular containers have ended.
        draft.init = []


def _kill_reason(
    container: core.Container, latest: ObservedContainer, probes: ProbeResults
) -> tuple[str, str] | None:
    if latest.spec_hash != podspec.spec_hash(container):
        return f"Container {container.name} definition changed", CHANGED
    if probes.liveness.get(latest.id) is False:
        return f"Container {container.name} failed liveness probe", LIVENESS
    if probes.startup.get(latest.id) is False:
        return f"Container {container.name} failed startup probe", STARTUP
    return None


# ---- common


def _kill_resized(container: core.Container, latest: ObservedContainer) -> Kill:
    message = f"Container {container.name} resize requires restart"
    return Kill(latest.id, container.name, message, CHANGED)


def _kill_unknown(latest: ObservedContainer, what: str) -> Kill:
    message = f'{what} is in "unknown" state, try killing it before restart'
    return Kill(latest.id, latest.name, message, UNKNOWN)


def _prunable(pod: core.Pod, observed: ObservedPod) -> bool:
    return any(
        sum(
            1
            for c in observed.instances(container.name)
            if c.state in (ContainerState.EXITED, ContainerState.UNKNOWN)
        )
        > 1
        for container in pod.spec.initContainers
    )


def _starts(
    pod: core.Pod, observed: ObservedPod, draft: _Draft, crashes: Backoff, now: float
) -> list[Action]:
    """Ephemeral containers first, as they debug pods that fail to start; then init, then
    regular."""
    actions: list[Action] = []
    for index in draft.ephemeral:
        actions.append(
            _start(pod, pod.spec.ephemeralContainers[index], "ephemeral", observed, crashes, now)
        )
    for index in draft.init:
        actions.append(_start(pod, pod.spec.initContainers[index], "init", observed, crashes, now))
    for index in draft.regular:
        actions.append(_start(pod, pod.spec.containers[index], "container", observed, crashes, now))
    return actions


def _start(
    pod: core.Pod,
    container: core.Container,
    kind: str,
    observed: ObservedPod,
    crashes: Backoff,
    now: float,
) -> Action:
    required = kind == "init" and not podspec.is_sidecar(container)
    ended = last_exit(observed, container.name)
    if ended is not None:
        key, finished = crash_key(pod, container), ended.finished_at / 1e9
        if crashes.waiting(key, finished, now):
            return Wait(
                container.name, kind, crashes.delay(key), crashes.until(key, finished), required
            )
    latest = observed.latest(container.name)
    count = None if latest is None else latest.restart_count + 1
    return Start(container.name, kind, count, required)
