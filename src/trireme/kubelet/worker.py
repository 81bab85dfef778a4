"""The pod worker: starts, syncs and terminates one pod.

In: the newest version of one pod, notifications of changes, a request to end. Out: CRI calls
through the executor, statuses. Made by ``workers`` for each pod UID. Rules: reference "Pod worker
states", "SyncPod order", "Termination".

A round reads the whole state again, so that it can be cancelled at any line: a request to end
cancels a round that pulls an image or waits for a hook.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Mapping
from typing import Protocol

import msgspec

from trireme.api.core import v1 as core
from trireme.kit import waiting
from trireme.kit.env import Env
from trireme.kubelet import podspec
from trireme.kubelet.backoff import Backoff
from trireme.kubelet.cgroups import plan as cgroup_plan
from trireme.kubelet.cgroups.apply import Cgroups
from trireme.kubelet.config import KubeletConfig
from trireme.kubelet.cri.contract import Runtime, RuntimeFailure
from trireme.kubelet.events import WARNING, Events
from trireme.kubelet.host.contract import Host
from trireme.kubelet.images.pull import Images
from trireme.kubelet.observe.inspect import Inspector
from trireme.kubelet.observe.model import ObservedPod
from trireme.kubelet.probes.manager import ProbeManager, Target
from trireme.kubelet.resize import allocation
from trireme.kubelet.resize import plan as resizing
from trireme.kubelet.resize.actuate import Actuator, ResizeFailure
from trireme.kubelet.resize.plan import Resize
from trireme.kubelet.resize.store import Allocations
from trireme.kubelet.status import compute
from trireme.kubelet.status.compute import Facts, Failure
from trireme.kubelet.status.manager import StatusManager
from trireme.kubelet.sync import plan as planning
from trireme.kubelet.sync.execute import Executor, Outcome, Round
from trireme.kubelet.sync.image_volumes import ImageVolumes
from trireme.kubelet.sync.kill import Killer
from trireme.kubelet.sync.plan import WaitingReason
from trireme.kubelet.volumes.manager import VolumeManager
from trireme.kubelet.volumes.plugin import Mounted, Objects, VolumeError, VolumePending
from trireme.machinery import time
from trireme.machinery.errors import ApiError

ERROR_SECONDS = 10.0
NETWORK_SECONDS = 1.0
MOUNT_RETRY_SECONDS = 0.5
MOUNT_RETRY_MAX_SECONDS = 122.0
# How often others are asked whether they have acted, and when the user hears of it.
PENDING_SECONDS = 0.5
PENDING_EVENT_SECONDS = 123.0
# The maximum of consecutive rounds without a pause: a guard against a plan that does not converge.
ROUNDS = 40
DEADLINE = Failure(
    "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"
)


class State(enum.Enum):
    SYNCING = "its containers run, or run to completion"
    TERMINATING = "its containers are being stopped"
    TERMINATED = "nothing runs; volumes and cgroups are being removed"
    FINISHED = "only dead containers and logs are left"
    REMOVED = "nothing is left"


class NodeState(Protocol):
    """The node's state that workers depend on."""

    def host_ips(self) -> tuple[str, ...]: ...

    def network_problem(self) -> str:
        """Empty when pods can get a network."""
        ...

    def memory_capacity(self) -> int: ...


class ResizeReports(Protocol):
    """The part of ``resize.manager.Resizes`` that rounds report to."""

    def conditions(self, uid: str) -> tuple[core.PodCondition, ...]: ...

    def in_progress(self, pod: core.Pod) -> None: ...

    def failed(self, pod: core.Pod, problem: str) -> None: ...

    def completed(self, pod: core.Pod) -> None: ...

    def forget(self, uid: str) -> None: ...


class Deps(msgspec.Struct, frozen=True, kw_only=True):
    """The dependencies that all workers of a node share."""

    env: Env
    config: KubeletConfig
    runtime: Runtime
    inspector: Inspector
    executor: Executor
    killer: Killer
    volumes: VolumeManager
    cgroups: Cgroups
    probes: ProbeManager
    statuses: StatusManager
    images: Images
    image_volumes: ImageVolumes
    events: Events
    objects: Objects
    host: Host
    node: NodeState
    crashes: Backoff
    allocations: Allocations
    actuator: Actuator


class Worker:
    """The worker of one pod UID on this node. ``pod`` has the resources that are allocated to it,
    whatever the API's version asks for."""

    def __init__(
        self, deps: Deps, pod: core.Pod, resizes: ResizeReports, *, orphan: bool = False
    ) -> None:
        self._deps = deps
        self._resizes = resizes
        self.pod = pod
        self.uid = pod.metadata.uid
        self.state = State.SYNCING
        self.failure: Failure | None = None
        self.gone = asyncio.Event()
        self._orphan = orphan
        self._grace: int | None = 1 if orphan else None
        self._ending = orphan
        self._wake = asyncio.Event()
        self._wake.set()
        self._round: asyncio.Task[float | None] | None = None
        self._reasons: dict[str, WaitingReason] = {}
        self._computed: core.PodStatus | None = None
        self._rejected = False
        self._mount_delay = MOUNT_RETRY_SECONDS
        # Whether nothing but the next resync is due.
        self._resyncs = False
        self._pending_since: float | None = None
        self._start_deadline()
        if self._ending or pod.metadata.deletionTimestamp is not None:
            self._end()

    # ---- called by Workers

    def notify(self) -> None:
        """The observed state changed: start a round."""
        self._wake.set()

    def update(self, pod: core.Pod) -> None:
        """The API has a new version of the pod."""
        before, self.pod = self.pod, pod
        self._deps.statuses.observe(pod)
        if before.spec.activeDeadlineSeconds != pod.spec.activeDeadlineSeconds:
            self._start_deadline()
        if pod.metadata.deletionTimestamp is not None and self.state is not State.FINISHED:
            shorter = _grace(before) != _grace(pod)
            if self.state is State.SYNCING or (self.state is State.TERMINATING and shorter):
                self._end()
        self._wake.set()

    def end(self, failure: Failure | None, grace: int | None) -> None:
        """Terminate the pod: eviction, removal. ``grace`` in seconds."""
        self.failure = self.failure or failure
        if grace is not None:
            self._grace = grace if self._grace is None else min(grace, self._grace)
        self._end()

    def grace_seconds(self) -> int:
        return podspec.grace_seconds(self.pod, self._grace)

    def reject(self, failure: Failure) -> None:
        """Admission failed; containers that an earlier kubelet started are stopped."""
        self._rejected = True
        self._computed = compute.rejected(self.pod, failure, self._deps.env.clock.now())
        self._deps.statuses.set(self.pod, self._computed)
        self.end(failure, 1)

    # ---- the loop

    async def run(self) -> None:
        """Until the pod is removed from the node and from the API."""
        delay: float | None = 0.0
        while True:
            if self._resyncs and delay is not None:
                await self._deps.env.clock.tick(delay, self._wake)
            else:
                await waiting.wait(self._wake, delay)
            self._resyncs = False
            self._wake.clear()
            if self.state is State.REMOVED:
                return
            self._round = asyncio.create_task(self._step(), name=f"round {self.uid}")
            try:
                await asyncio.wait({self._round})
            except asyncio.CancelledError:
                self._round.cancel()
                await asyncio.gather(self._round, return_exceptions=True)
                raise
            delay = 0.0 if self._round.cancelled() else self._result(self._round)

    def release(self, pod: core.Pod) -> None:
        """The pod was deleted from the API; ``pod`` is its last version."""
        self.pod = pod
        self.gone.set()
        if self.state is State.SYNCING:
            self._end()
        self._wake.set()

    def _end(self) -> None:
        self._ending = True
        if self.state is State.SYNCING:
            self.state = State.TERMINATING
        if self._round is not None and not self._round.done():
            self._round.cancel()
        self._wake.set()

    async def _step(self) -> float | None:
        """One round; seconds until the next one, unless notified before."""
        try:
            match self.state:
                case State.SYNCING:
                    return await self._sync()
                case State.TERMINATING:
                    return await self._terminate()
                case State.TERMINATED:
                    return await self._clean_up()
                case State.FINISHED:
                    return await self._remove()
                case State.REMOVED:
                    return None
        except (RuntimeFailure, VolumeError, ApiError, OSError) as problem:
            self._deps.env.log.warning(
                "pod %s: %s: %s", podspec.full_name(self.pod), self.state.name.lower(), problem
            )
            if isinstance(problem, RuntimeFailure) and problem.code == "UNAVAILABLE":
                return NETWORK_SECONDS
            return self._error_delay()

    def _result(self, task: asyncio.Task[float | None]) -> float | None:
        """An unexpected exception in one pod's round must not end the others."""
        error = task.exception()
        if error is None:
            return task.result()
        self._deps.env.log.error(
            "pod %s: error in the pod worker", podspec.full_name(self.pod), exc_info=error
        )
        return self._error_delay()

    # ---- syncing

    async def _sync(self) -> float | None:
        pod = self.pod
        outcome = Outcome()
        for _ in range(ROUNDS):
            observed = await self._deps.inspector.pod(self.uid)
            if self._past_deadline():
                self.failure = DEADLINE
            if self._deps.allocations.actuated(self.uid) is not None:
                self._resizes.in_progress(pod)
            status = self._publish(observed)
            if podspec.is_terminal(status):
                self.state = State.TERMINATING
                return 0.0
            answer = await self._sync_once(pod, observed)
            if not isinstance(answer, Outcome):
                return answer
            outcome = answer
            if not outcome.changed or outcome.failed:
                break
        if outcome.changed or outcome.reasons:
            # The round's own changes notified the worker: the next round covers them.
            self._wake.clear()
            observed = await self._deps.inspector.pod(self.uid)
            self._publish(observed)
            if self._more_to_do(observed, outcome):
                return 0.0
        return self._delay(outcome)

    async def _sync_once(self, pod: core.Pod, observed: ObservedPod) -> Outcome | float:
        deps = self._deps
        problem = deps.node.network_problem()
        if problem and not podspec.is_host_network(pod):
            deps.events.pod(pod, WARNING, "NetworkNotReady", f"network is not ready: {problem}")
            return NETWORK_SECONDS
        self._ensure_cgroup(pod)
        deps.volumes.make_pod_dirs(pod)
        try:
            volumes = await deps.volumes.mount(pod)
        except VolumePending as pending:
            return self._await_volumes(pod, pending)
        except VolumeError as failure:
            deps.events.pod(pod, WARNING, "FailedMount", str(failure))
            delay, self._mount_delay = (
                self._mount_delay,
                min(self._mount_delay * 2, MOUNT_RETRY_MAX_SECONDS),
            )
            return delay
        self._mount_delay, self._pending_since = MOUNT_RETRY_SECONDS, None
        deps.probes.sync(pod, self._targets(observed))
        resize = resizing.plan(pod, observed, deps.allocations.actuated(self.uid))
        plan = planning.plan(
            pod,
            observed,
            deps.probes.results(),
            deps.crashes,
            deps.env.clock.now(),
            resize.restarts,
        )
        if not plan.actions:
            return await self._resize(pod, resize)
        if resize.restarts:
            deps.actuator.grow(pod)
        outcome = await self._execute(pod, observed, plan, volumes)
        if not outcome.failed:
            outcome.failed = (await self._resize(pod, resize)).failed
        return outcome

    async def _execute(
        self,
        pod: core.Pod,
        observed: ObservedPod,
        plan: planning.Plan,
        volumes: Mapping[str, Mounted],
    ) -> Outcome:
        deps = self._deps
        outcome = await deps.executor.run(
            Round(
                pod=pod,
                observed=observed,
                plan=plan,
                volumes=volumes,
                secrets=await self._pull_secrets(pod),
                crashes=deps.crashes,
                sandbox_ready=self._report_sandbox,
            )
        )
        for name, reason in outcome.reasons.items():
            if reason is None:
                self._reasons.pop(name, None)
                container = podspec.find(pod, name)
                assert container is not None
                resources = allocation.effective(pod.spec.resources, container.resources)
                deps.allocations.started(self.uid, name, resources)
            else:
                self._reasons[name] = reason
        return outcome

    async def _resize(self, pod: core.Pod, resize: Resize) -> Outcome:
        """Put what is allocated in force; complete once nothing differs."""
        deps = self._deps
        if deps.allocations.actuated(self.uid) is None:
            return Outcome()
        try:
            await deps.actuator.run(pod, resize, deps.node.memory_capacity())
        except ResizeFailure as failure:
            self._resizes.failed(pod, str(failure))
            return Outcome(failed=str(failure))
        if pod is self.pod:
            self._resizes.completed(pod)
            # The round ends with a status that says so.
            return Outcome(changed=True)
        return Outcome()

    def _await_volumes(self, pod: core.Pod, pending: VolumePending) -> float:
        """Others have to act on the pod's volumes: ask again soon, and tell the user when it takes
        long."""
        now = self._deps.env.clock.monotonic()
        if self._pending_since is None:
            self._pending_since = now
        elif now - self._pending_since >= PENDING_EVENT_SECONDS:
            self._pending_since = now
            self._deps.events.pod(
                pod,
                WARNING,
                "FailedMount",
                f"Unable to attach or mount volumes: {pending}: timed out waiting for the "
                "condition",
            )
        return PENDING_SECONDS

    def _more_to_do(self, observed: ObservedPod, outcome: Outcome) -> bool:
        """Whether there are actions beyond those that just failed."""
        deps = self._deps
        plan = planning.plan(
            self.pod, observed, deps.probes.results(), deps.crashes, deps.env.clock.now()
        )
        if outcome.failed and any(isinstance(a, planning.CreateSandbox) for a in plan.actions):
            return False  # without a sandbox nothing starts
        return any(
            getattr(action, "name", None) not in outcome.reasons
            for action in plan.actions
            if isinstance(action, planning.Start | planning.Kill)
        )

    async def _report_sandbox(self) -> None:
        """Report the sandbox's address before images are pulled."""
        self._publish(await self._deps.inspector.pod(self.uid))

    def _ensure_cgroup(self, pod: core.Pod) -> None:
        path = cgroup_plan.pod_path(self._deps.config.cgroup_parent, pod)
        pids = max(self._deps.config.pod_pids_limit, 0)
        if not self._deps.cgroups.exists(path):
            self._deps.cgroups.ensure(path, cgroup_plan.pod_limits(pod, pids))

    async def _pull_secrets(self, pod: core.Pod) -> tuple[core.Secret, ...]:
        found = []
        for reference in pod.spec.imagePullSecrets:
            secret = await self._deps.objects.secret(pod.metadata.namespace, reference.name)
            if secret is None:
                self._deps.events.pod(
                    pod,
                    WARNING,
                    "FailedToRetrieveImagePullSecret",
                    f"Unable to retrieve some image pull secrets ({reference.name}); attempting "
                    "to pull the image may not succeed.",
                )
            else:
                found.append(secret)
        return tuple(found)

    def _delay(self, outcome: Outcome) -> float:
        """Seconds until the next round: resync, retry, end of a backoff, active deadline."""
        now = self._deps.env.clock.now()
        delays = [self._deps.config.resync_seconds * (1 + 0.5 * self._deps.env.rng.random())]
        if outcome.retry_at is not None:
            delays.append(max(outcome.retry_at - now, 0.0) + 0.01)
        elif outcome.failed:
            delays.append(self._error_delay())
        if self._deadline is not None:
            delays.append(max(self._deadline - now, 0.0) + 0.01)
        self._resyncs = len(delays) == 1
        return min(delays)

    def _error_delay(self) -> float:
        return ERROR_SECONDS * (1 + 0.5 * self._deps.env.rng.random())

    # ---- terminating

    async def _terminate(self) -> float | None:
        deps, pod = self._deps, self.pod
        observed = await deps.inspector.pod(self.uid)
        self._publish(observed)
        deps.probes.sync(pod, self._targets(observed), stopping=True)
        grace = None if self._grace is None else podspec.grace_seconds(pod, self._grace)
        await deps.killer.kill_all(pod, observed, grace)
        deps.probes.remove(self.uid)
        observed = await deps.inspector.pod(self.uid)
        if observed.running:
            names = ", ".join(container.name for container in observed.running)
            deps.env.log.warning(
                "pod %s: still running after being stopped: %s", podspec.full_name(pod), names
            )
            return NETWORK_SECONDS
        self.state = State.TERMINATED
        self._publish(observed, terminal=True)
        return 0.0

    async def _clean_up(self) -> float | None:
        deps, pod = self._deps, self.pod
        await deps.image_volumes.release(self.uid)
        await deps.volumes.unmount(self.uid)
        await deps.cgroups.remove(cgroup_plan.pod_path(deps.config.cgroup_parent, pod))
        deps.images.forget(self.uid)
        self._resizes.forget(self.uid)
        self.state = State.FINISHED
        if self._orphan:
            self.gone.set()
        elif self._computed is not None and not self.gone.is_set():
            self._computed = compute.terminated(self._computed)
            deps.statuses.set(pod, self._computed)
            deps.statuses.finish(pod)
        return 0.0 if self.gone.is_set() else None

    async def _remove(self) -> float | None:
        """Once the pod is deleted from the API: remove its containers, logs and directory."""
        if not self.gone.is_set():
            return None
        deps = self._deps
        observed = await deps.inspector.pod(self.uid)
        for sandbox in observed.sandboxes:
            try:
                await deps.runtime.remove_sandbox(sandbox.id)
            except RuntimeFailure as failure:
                if not failure.not_found:
                    raise
        for container in observed.containers:
            deps.inspector.forget(container.id)
        await deps.volumes.remove(self.uid)
        if self.pod.metadata.name:
            await deps.host.remove_tree(podspec.log_directory(deps.config.logs_dir, self.pod))
        deps.statuses.forget(self.uid)
        deps.probes.remove(self.uid)
        self.state = State.REMOVED
        return 0.0

    # ---- status

    def _publish(self, observed: ObservedPod, *, terminal: bool = False) -> core.PodStatus:
        deps, pod = self._deps, self.pod
        if self._rejected and self._computed is not None:
            return self._computed
        old = self._computed or deps.statuses.get(self.uid) or pod.status
        self._computed = compute.compute(
            Facts(
                pod=pod,
                observed=observed,
                old=old,
                now=deps.env.clock.now(),
                host_ips=deps.node.host_ips(),
                reasons=self._reasons,
                probes=deps.probes.results(),
                terminal=terminal or self.state is not State.SYNCING,
                failure=self.failure,
                runtime=deps.config.runtime_name,
                actuated=deps.allocations.actuated(self.uid),
                resizes=self._resizes.conditions(self.uid) if self.state is State.SYNCING else (),
            )
        )
        reported = self._computed
        if self.state in (State.SYNCING, State.TERMINATING):
            reported = compute.withhold_terminal(reported, pod.status)
        if not self.gone.is_set() and not self._orphan:
            deps.statuses.set(pod, reported)
        if self.state is State.SYNCING and observed.containers:
            # The status just computed whether containers have started, which starts their probes.
            deps.probes.sync(pod, self._targets(observed))
        return self._computed

    def _targets(self, observed: ObservedPod) -> Mapping[str, Target]:
        """The containers to probe, by name."""
        started = {}
        if self._computed is not None:
            started = {
                s.name: bool(s.started)
                for s in (*self._computed.initContainerStatuses, *self._computed.containerStatuses)
            }
        ips = observed.ips
        if podspec.is_host_network(self.pod):
            ips = self._deps.node.host_ips()
        targets: dict[str, Target] = {}
        for container in reversed(observed.containers):
            targets[container.name] = Target(
                container.id,
                container.running,
                container.started_at / 1e9,
                started.get(container.name, False),
                ips[0] if ips else "",
            )
        return targets

    # ---- active deadline

    def _start_deadline(self) -> None:
        seconds, start = self.pod.spec.activeDeadlineSeconds, self.pod.status.startTime
        self._deadline: float | None = None
        if seconds is not None:
            began = time.parse(start) if start else self._deps.env.clock.now()
            self._deadline = began + seconds

    def _past_deadline(self) -> bool:
        if self.pod.spec.activeDeadlineSeconds is not None and self._deadline is None:
            self._start_deadline()
        return self._deadline is not None and self._deps.env.clock.now() >= self._deadline


def _grace(pod: core.Pod) -> int | None:
    return pod.metadata.deletionGracePeriodSeconds
