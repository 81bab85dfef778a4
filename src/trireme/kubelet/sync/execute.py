"""Execute a plan: create, start and stop sandboxes and containers.

In: a ``Plan`` and the pod's mounted volumes. Out: ``Outcome``: reasons of failed starts, and when
to retry. Called by workers. Rules: the kubelet's SyncPod. Every failure is reported once, as an
event and a waiting reason; the worker retries.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from trireme.api.core import v1 as core
from trireme.kit.env import Env
from trireme.kubelet import podspec
from trireme.kubelet.backoff import Backoff
from trireme.kubelet.cri.contract import Runtime, RuntimeFailure
from trireme.kubelet.events import NORMAL, WARNING, Events
from trireme.kubelet.images.pull import ImageFailure, ImageRequest, Images
from trireme.kubelet.observe.model import ObservedPod
from trireme.kubelet.sync import plan as planning
from trireme.kubelet.sync.create import Factory, NewContainer
from trireme.kubelet.sync.image_volumes import ImageVolumes
from trireme.kubelet.sync.kill import Killer
from trireme.kubelet.sync.lifecycle import HookFailure, Hooks
from trireme.kubelet.sync.mounts import ConfigFailure
from trireme.kubelet.sync.plan import (
    CreateSandbox,
    Kill,
    KillPod,
    Plan,
    PruneInit,
    PurgeInit,
    Start,
    Wait,
    WaitingReason,
)
from trireme.kubelet.sync.remove import Remover
from trireme.kubelet.volumes.plugin import Mounted
from trireme.machinery.errors import ApiError

CRASH_LOOP = "CrashLoopBackOff"


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of one plan. ``volumes`` by name."""

    pod: core.Pod
    observed: ObservedPod
    plan: Plan
    volumes: Mapping[str, Mounted]
    secrets: tuple[core.Secret, ...]
    crashes: Backoff
    # Called when the sandbox is ready, to report it while images are pulled.
    sandbox_ready: Callable[[], Awaitable[None]]


class Outcome(msgspec.Struct):
    """``reasons``: by container, the reason of a failed start (``None``: started). ``retry_at``:
    epoch seconds at which the first backoff ends; ``failed``: an error that may be retried."""

    reasons: dict[str, WaitingReason | None] = {}
    retry_at: float | None = None
    failed: str = ""
    changed: bool = False

    def later(self, moment: float | None) -> None:
        if moment is not None and (self.retry_at is None or moment < self.retry_at):
            self.retry_at = moment


class Executor:
    """Turns plans into CRI calls for one node. Stateless."""

    def __init__(
        self,
        env: Env,
        runtime: Runtime,
        factory: Factory,
        images: Images,
        image_volumes: ImageVolumes,
        killer: Killer,
        hooks: Hooks,
        events: Events,
        remover: Remover,
    ) -> None:
        self._env = env
        self._runtime = runtime
        self._factory = factory
        self._images = images
        self._image_volumes = image_volumes
        self._killer = killer
        self._hooks = hooks
        self._events = events
        self._remover = remover

    async def run(self, work: Round) -> Outcome:
        """Do all of ``work.plan`` that can be done now."""
        outcome = Outcome(reasons={})
        sandbox = _Sandbox(work.plan.sandbox_id, work.plan.attempt, work.observed.ips)
        for action in work.plan.actions:
            try:
                if not await self._execute(work, action, sandbox, outcome):
                    break
            except RuntimeFailure as failure:
                outcome.failed = f"{type(action).__name__}: {failure}"
                self._env.log.warning("%s: %s", podspec.full_name(work.pod), outcome.failed)
                break
        return outcome

    async def _execute(
        self, work: Round, action: planning.Action, sandbox: _Sandbox, outcome: Outcome
    ) -> bool:
        """Whether to go on with the next action."""
        match action:
            case KillPod():
                if action.replace and work.observed.sandboxes:
                    self._events.pod(
                        work.pod,
                        NORMAL,
                        "SandboxChanged",
                        "Pod sandbox changed, it will be killed and re-created.",
                    )
                await self._killer.kill_all(work.pod, work.observed)
                outcome.changed = True
            case Kill():
                await self._killer.kill_one(
                    work.pod,
                    work.observed,
                    action.container_id,
                    action.name,
                    action.message,
                    action.reason,
                )
                outcome.changed = True
            case PurgeInit():
                await self._remove_init(work, keep=0)
            case PruneInit():
                await self._remove_init(work, keep=1)
            case CreateSandbox():
                outcome.changed = True
                return await self._create_sandbox(work, action, sandbox, outcome)
            case Wait():
                self._wait(work, action, outcome)
                return not action.required
            case Start():
                outcome.changed = True
                started = await self._start(work, action, sandbox, outcome)
                return started or not action.required
            case _:
                raise TypeError(f"unknown action {action!r}")
        return True

    async def _create_sandbox(
        self, work: Round, action: CreateSandbox, sandbox: _Sandbox, outcome: Outcome
    ) -> bool:
        pod = work.pod
        try:
            config = self._factory.sandbox(pod, action.attempt)
            self._factory.make_log_dirs(pod)
            handler = await self._factory.runtime_handler(pod)
            sandbox.id = await self._runtime.run_sandbox(config, handler)
        except (RuntimeFailure, ApiError, ValueError, OSError) as failure:
            self._events.pod(
                pod, WARNING, "FailedCreatePodSandBox", f"Failed to create pod sandbox: {failure}"
            )
            outcome.failed = f"CreatePodSandbox: {failure}"
            self._env.log.warning("%s: %s", podspec.full_name(pod), outcome.failed)
            return False
        sandbox.attempt = action.attempt
        status = await self._runtime.sandbox_status(sandbox.id)
        if status.network is not None and status.network.ip:
            sandbox.ips = (status.network.ip, *(ip.ip for ip in status.network.additional_ips))
        await work.sandbox_ready()
        return True

    def _wait(self, work: Round, action: Wait, outcome: Outcome) -> None:
        pod = work.pod
        self._events.container(
            pod,
            action.name,
            WARNING,
            "BackOff",
            f"Back-off restarting failed container {action.name} in pod {podspec.full_name(pod)}",
        )
        outcome.reasons[action.name] = WaitingReason(
            CRASH_LOOP,
            f"back-off {_go_duration(action.delay)} restarting failed "
            f"container={action.name} pod={podspec.full_name(pod)}",
        )
        outcome.later(action.until)

    async def _start(self, work: Round, action: Start, sandbox: _Sandbox, outcome: Outcome) -> bool:
        pod = work.pod
        container = podspec.find(pod, action.name)
        assert container is not None
        ended = planning.last_exit(work.observed, action.name)
        if ended is not None:
            work.crashes.next(
                planning.crash_key(pod, container), ended.finished_at / 1e9, self._env.clock.now()
            )
        try:
            await self._start_container(work, action, container, sandbox)
        except ImageFailure as failure:
            self._failed_event(work, action.name, failure.reason)
            outcome.reasons[action.name] = WaitingReason(failure.reason, failure.message)
            outcome.later(failure.retry_at)
            outcome.failed = failure.reason
            return False
        except _StartFailure as failure:
            outcome.reasons[action.name] = WaitingReason(failure.reason, failure.message)
            outcome.failed = failure.reason
            return False
        outcome.reasons[action.name] = None
        return True

    async def _start_container(
        self, work: Round, action: Start, container: core.Container, sandbox: _Sandbox
    ) -> None:
        pod, name = work.pod, container.name
        sandbox_config = self._factory.sandbox(pod, sandbox.attempt)
        image = await self._images.ensure(
            ImageRequest(
                pod,
                name,
                container.image,
                container.imagePullPolicy or "IfNotPresent",
                work.secrets,
                sandbox_config,
            )
        )
        count = action.restart_count
        if count is None:
            count = self._factory.restarts_in_logs(pod, container)
        volumes = await self._image_volumes.mount(
            pod, container, work.secrets, sandbox_config, self._factory.runtime_handler
        )
        try:
            target = self._factory.target_id(container, work.observed)
            config = await self._factory.container(
                NewContainer(
                    pod=pod,
                    container=container,
                    image=image,
                    restart_count=count,
                    pod_ips=sandbox.ips,
                    volumes={**work.volumes, **volumes},
                    target_id=target,
                )
            )
        except (ConfigFailure, ValueError, OSError) as failure:
            self._failed_event(work, name, str(failure))
            raise _StartFailure("CreateContainerConfigError", str(failure)) from failure
        try:
            container_id = await self._runtime.create_container(sandbox.id, config, sandbox_config)
        except RuntimeFailure as failure:
            self._failed_event(work, name, failure.message)
            raise _StartFailure("CreateContainerError", failure.message) from failure
        self._events.container(pod, name, NORMAL, "Created", "Container created", container_id)
        try:
            await self._runtime.start_container(container_id)
        except RuntimeFailure as failure:
            self._failed_event(work, name, failure.message, container_id)
            raise _StartFailure("RunContainerError", failure.message) from failure
        self._events.container(pod, name, NORMAL, "Started", "Container started", container_id)
        await self._post_start(work, container, container_id, sandbox)

    async def _post_start(
        self, work: Round, container: core.Container, container_id: str, sandbox: _Sandbox
    ) -> None:
        if container.lifecycle is None or container.lifecycle.postStart is None:
            return
        pod_ip = sandbox.ips[0] if sandbox.ips else ""
        try:
            await self._hooks.run(container.lifecycle.postStart, container, container_id, pod_ip)
        except HookFailure as failure:
            self._env.log.warning("%s: %s", podspec.full_name(work.pod), failure)
            self._events.container(
                work.pod,
                container.name,
                WARNING,
                "FailedPostStartHook",
                "PostStartHook failed",
                container_id,
            )
            await self._killer.kill_one(
                work.pod,
                work.observed,
                container_id,
                container.name,
                "FailedPostStartHook",
                "FailedPostStartHook",
            )
            raise _StartFailure("PostStartHookError", str(failure)) from failure

    async def _remove_init(self, work: Round, *, keep: int) -> None:
        for container in work.pod.spec.initContainers:
            dead = [
                observed
                for observed in work.observed.instances(container.name)
                if not observed.running
            ]
            if keep == 0:
                dead = list(work.observed.instances(container.name))
            for observed in dead[keep:]:
                await self._remover.remove(observed.id)

    def _failed_event(self, work: Round, name: str, message: str, container_id: str = "") -> None:
        self._events.container(work.pod, name, WARNING, "Failed", f"Error: {message}", container_id)


class _StartFailure(Exception):
    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class _Sandbox:
    """The sandbox of the containers of this round."""

    def __init__(self, sandbox_id: str, attempt: int, ips: tuple[str, ...]) -> None:
        self.id = sandbox_id
        self.attempt = attempt
        self.ips = ips


def _go_duration(seconds: float) -> str:
    """``10s``, ``1m20s``, ``5m0s``, as Go prints whole seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
