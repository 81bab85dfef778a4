"""Stop containers: hooks, order, grace, signal.

In: a pod, its running containers, a grace period. Out: stopped containers. Called by sync/execute
and workers. Rules: reference "Termination"; KEP-753 (sidecars stop last, in reverse order). Hooks
and the order share the one grace period.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from trireme.api.core import v1 as core
from trireme.kit.env import Env
from trireme.kubelet import podspec
from trireme.kubelet.cri.contract import Runtime, RuntimeFailure
from trireme.kubelet.events import NORMAL, WARNING, Events
from trireme.kubelet.observe.model import ObservedContainer, ObservedPod
from trireme.kubelet.sync import plan
from trireme.kubelet.sync.lifecycle import HookFailure, Hooks

# Seconds; even a forced stop sends the stop signal first.
MINIMUM_GRACE = 2


class Killer:
    """Stops containers of one node's pods. Stateless."""

    def __init__(self, env: Env, runtime: Runtime, hooks: Hooks, events: Events) -> None:
        self._env = env
        self._runtime = runtime
        self._hooks = hooks
        self._events = events

    async def kill_all(
        self, pod: core.Pod, observed: ObservedPod, override: int | None = None
    ) -> None:
        """Every running container, then every sandbox. Raises ``RuntimeFailure``."""
        order = _Order(pod, [container.name for container in observed.running])
        async with asyncio.TaskGroup() as group:
            for container in observed.running:
                group.create_task(self._kill_quietly(pod, observed, container, override, order))
        still = [failure for failure in order.failures if not failure.not_found]
        if still:
            raise still[0]
        for sandbox in observed.sandboxes:
            try:
                await self._runtime.stop_sandbox(sandbox.id)
            except RuntimeFailure as failure:
                if not failure.not_found:
                    raise

    async def kill_one(
        self,
        pod: core.Pod,
        observed: ObservedPod,
        container_id: str,
        name: str,
        message: str,
        reason: str,
    ) -> None:
        """One container, while the others go on. Raises ``RuntimeFailure``."""
        target = ObservedContainer(id=container_id, name=name)
        await self._kill(pod, observed, target, _grace(pod, name, reason), message, None)

    async def _kill_quietly(
        self,
        pod: core.Pod,
        observed: ObservedPod,
        container: ObservedContainer,
        override: int | None,
        order: _Order,
    ) -> None:
        grace = _grace(pod, container.name, "") if override is None else override
        try:
            await self._kill(pod, observed, container, grace, "", order)
        except RuntimeFailure as failure:
            order.failures.append(failure)
        finally:
            order.ended(container.name)

    async def _kill(
        self,
        pod: core.Pod,
        observed: ObservedPod,
        container: ObservedContainer,
        grace: float,
        message: str,
        order: _Order | None,
    ) -> None:
        self._events.container(
            pod,
            container.name,
            NORMAL,
            "Killing",
            message or f"Stopping container {container.name}",
            container.id,
        )
        end = self._env.clock.monotonic() + grace
        if grace > 0:
            await self._pre_stop(pod, observed, container, grace)
        if order is not None:
            await order.turn(container.name, end - self._env.clock.monotonic())
        left = max(math.ceil(end - self._env.clock.monotonic()), MINIMUM_GRACE)
        try:
            await self._runtime.stop_container(container.id, left)
        except RuntimeFailure as failure:
            if not failure.not_found:
                raise

    async def _pre_stop(
        self, pod: core.Pod, observed: ObservedPod, container: ObservedContainer, grace: float
    ) -> None:
        spec = podspec.find(pod, container.name)
        if spec is None or spec.lifecycle is None or spec.lifecycle.preStop is None:
            return
        pod_ip = observed.ips[0] if observed.ips else ""
        try:
            async with asyncio.timeout(grace):
                await self._hooks.run(spec.lifecycle.preStop, spec, container.id, pod_ip)
        except TimeoutError:
            self._env.log.info(
                "preStop hook of %s in %s not done within %gs",
                container.name,
                podspec.full_name(pod),
                grace,
            )
        except HookFailure as failure:
            self._env.log.warning("%s: %s", podspec.full_name(pod), failure)
            self._events.container(
                pod,
                container.name,
                WARNING,
                "FailedPreStopHook",
                "PreStopHook failed",
                container.id,
            )


class _Order:
    """The order of termination: sidecars after all regular containers and later sidecars."""

    def __init__(self, pod: core.Pod, running: Sequence[str]) -> None:
        self.failures: list[RuntimeFailure] = []
        self._done = {name: asyncio.Event() for name in running}
        self._before: dict[str, list[asyncio.Event]] = {}
        waits = [self._done[c.name] for c in pod.spec.containers if c.name in self._done]
        for container in reversed(pod.spec.initContainers):
            if podspec.is_sidecar(container):
                self._before[container.name] = list(waits)
                if container.name in self._done:
                    waits.append(self._done[container.name])

    async def turn(self, name: str, seconds: float) -> None:
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                for event in self._before.get(name, []):
                    await event.wait()
        except TimeoutError:
            return

    def ended(self, name: str) -> None:
        self._done[name].set()


def _grace(pod: core.Pod, name: str, reason: str) -> int:
    """Seconds; a failed probe may have a grace period of its own."""
    if pod.metadata.deletionGracePeriodSeconds is not None:
        return pod.metadata.deletionGracePeriodSeconds
    container = podspec.find(pod, name)
    probe = None
    if container is not None:
        probe = {plan.LIVENESS: container.livenessProbe, plan.STARTUP: container.startupProbe}.get(
            reason
        )
    if probe is not None and probe.terminationGracePeriodSeconds is not None:
        return probe.terminationGracePeriodSeconds
    own = pod.spec.terminationGracePeriodSeconds
    return podspec.DEFAULT_GRACE_SECONDS if own is None else own
