"""The loop of eviction: observe, reclaim what is the node's own, end one pod at a time.

In: measures, the active pods, the collector of garbage. Out: the node's conditions, evicted pods,
events. Run by the component. Rules: node-pressure-eviction; reference "Eviction".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from trireme.api.core import v1 as core
from trireme.kit.env import Env
from trireme.kubelet import podspec, thresholds
from trireme.kubelet.config import KubeletConfig
from trireme.kubelet.cri.contract import RuntimeFailure
from trireme.kubelet.events import WARNING, Events
from trireme.kubelet.eviction import plan
from trireme.kubelet.eviction.measure import Measures
from trireme.kubelet.eviction.plan import Layout, State
from trireme.kubelet.status.compute import Failure
from trireme.kubelet.thresholds import Threshold
from trireme.kubelet.workers import Workers

PASS_SECONDS = 10.0
CLEANUP_SECONDS = 30.0
CLEANUP_CHECK_SECONDS = 1.0


class Reclaimer(Protocol):
    """What the node itself can free: ``gc.collector``."""

    async def remove_dead_containers(self) -> None: ...

    async def remove_unused_images(self) -> None: ...


class EvictionManager:
    """Of one node. ``changed`` is called when its conditions did."""

    def __init__(
        self,
        env: Env,
        config: KubeletConfig,
        measures: Measures,
        workers: Workers,
        reclaimer: Reclaimer,
        events: Events,
        changed: Callable[[], None],
    ) -> None:
        self._env, self._config = env, config
        self._measures, self._workers, self._reclaimer = measures, workers, reclaimer
        self._events, self._changed = events, changed
        self._layout: Layout | None = None
        self._thresholds: tuple[Threshold, ...] = ()
        self._state = State()
        # Of pods, by signal.
        self.evictions: dict[str, int] = {}

    def pressures(self) -> Sequence[str]:
        """The condition types that are True."""
        return self._state.conditions

    async def run_forever(self) -> None:
        while True:
            evicted: list[core.Pod] = []
            try:
                evicted = await self.pass_once()
            except (RuntimeFailure, OSError) as error:
                self._env.log.warning("eviction: measuring failed: %s", error)
            if evicted:
                await self._cleaned_up(evicted)
            else:
                clock = self._env.clock
                # Pressure ends, and thresholds are met, some time after they are seen.
                await (clock.tick if self._state == State() else clock.sleep)(PASS_SECONDS)

    async def pass_once(self) -> list[core.Pod]:
        """The pods that it evicted: those beyond their own limits, or else one."""
        if self._layout is None:
            self._layout = await self._measures.find_layout()
            self._thresholds = thresholds.with_container_fs(
                self._config.eviction.thresholds(),
                image_fs=self._layout.image_fs,
                split=self._layout.split,
            )
        observed = self._measures.observe()
        before, now = self._state, self._env.clock.monotonic()
        self._state = plan.advance(
            before, self._thresholds, observed, self._config.eviction.transition_seconds, now
        )
        if self._state.conditions != before.conditions:
            self._changed()
        evicted = await self._evict_over_limits(self._layout)
        if evicted or not self._state.met:
            return evicted
        urgent = plan.most_urgent(self._state.met)
        self._events.node(
            WARNING, "EvictionThresholdMet", f"Attempting to reclaim {urgent.resource}"
        )
        if await self._reclaim(urgent, self._layout):
            return []
        pods = self._workers.active()
        usages = await self._measures.use(
            pods,
            inodes=urgent.resource == thresholds.INODES,
            processes=urgent.resource == thresholds.PROCESSES,
        )
        for pod in plan.rank(pods, usages, urgent, self._layout):
            grace = plan.grace_seconds(pod, urgent, self._config.eviction.max_pod_grace_seconds)
            text, annotations = plan.message(
                pod, usages, urgent.resource, self._state.met, observed
            )
            if self._evict(pod, grace, text, urgent.signal, annotations, disruption=True):
                return [pod]
        self._env.log.warning("eviction: no pod can be evicted to reclaim %s", urgent.resource)
        return []

    async def _evict_over_limits(self, layout: Layout) -> list[core.Pod]:
        limited = [pod for pod in self._workers.active() if plan.has_limit(pod)]
        if not limited:
            return []
        usages = await self._measures.use(limited)
        evicted = []
        for pod in limited:
            usage = usages.get(pod.metadata.uid)
            exceeded = plan.over_limit(pod, usage, layout) if usage is not None else None
            if exceeded is not None and self._evict(
                pod, plan.IMMEDIATELY, exceeded.message, exceeded.signal
            ):
                evicted.append(pod)
        return evicted

    async def _reclaim(self, urgent: Threshold, layout: Layout) -> bool:
        """Whether that was enough."""
        containers, images = plan.reclaims(urgent, layout)
        if containers:
            await self._reclaimer.remove_dead_containers()
        if images:
            await self._reclaimer.remove_unused_images()
        if not containers and not images:
            return False
        return not plan.met(self._thresholds, self._measures.observe(), reclaimed=True)

    def _evict(
        self,
        pod: core.Pod,
        grace: int,
        message: str,
        signal: str,
        annotations: dict[str, str] | None = None,
        *,
        disruption: bool = False,
    ) -> bool:
        if podspec.is_critical(pod):
            self._env.log.warning("eviction: pod %s is critical and stays", podspec.full_name(pod))
            return False
        self._events.pod(pod, WARNING, plan.REASON, message, annotations)
        failure = Failure(plan.REASON, message, disruption=message if disruption else "")
        self._workers.evict(pod.metadata.uid, failure, grace)
        self.evictions[signal] = self.evictions.get(signal, 0) + 1
        return True

    async def _cleaned_up(self, pods: Sequence[core.Pod]) -> None:
        """Returns when nothing of them runs, at the latest after their grace and 30 s."""
        grace = max((self._workers.grace(pod.metadata.uid) for pod in pods), default=0)
        within = grace + CLEANUP_SECONDS
        await self._workers.wait_cleaned_up(pods, within, CLEANUP_CHECK_SECONDS)
