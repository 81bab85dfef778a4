"""The scheduler as a Component: informers fill columns and queue; scheduling and binding cycles.

In: ``SchedulerConfig`` and an ``Env``. Out: what ``binding_cycle`` writes. A pod is assumed on its
node at once, so that the next decision counts it, while its binding is in flight; several bindings
are in flight at a time. When a binding fails, the pod is forgotten and retried after its backoff.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from trireme.api.core.v1.namespace import Namespace
from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.policy.v1.poddisruptionbudget import PodDisruptionBudget
from trireme.client.client import Client
from trireme.client.resource_interface import ADDED, DELETED
from trireme.domain import scheduling_requests
from trireme.domain.scheduling_requests import Request
from trireme.kit.env import Env
from trireme.machinery import errors
from trireme.runtime.informer import Event, Informers
from trireme.runtime.recorder import EventRecorder
from trireme.scheduler import binding_cycle, decide, hints, preempt, profile, queue
from trireme.scheduler.binding_cycle import BindingCycle
from trireme.scheduler.decide import Decision
from trireme.scheduler.default_selector import DefaultSelectors
from trireme.scheduler.framework import PodInfo
from trireme.scheduler.nominations import Nominations
from trireme.scheduler.plugins import volume_binding
from trireme.scheduler.preempt import Plan, PreemptionState
from trireme.scheduler.queue import ClusterEvents, Queue, QueuedPodInfo
from trireme.scheduler.score_cache import ScoreCache
from trireme.scheduler.signature import Signatures
from trireme.scheduler.snapshot.columns import Columns
from trireme.scheduler.volumes.lookup import NotBound, Volumes
from trireme.scheduler.volumes.model import Bindings

# How many binding cycles run at a time.
ACTIONS = 16
# How many pods are decided before other tasks get a turn.
BATCH = 32
LIVE_PODS = "status.phase!=Succeeded,status.phase!=Failed"


@dataclass(frozen=True)
class SchedulerConfig:
    """``profile`` decides for pods whose ``schedulerName`` is its name. ``longest_unschedulable``:
    seconds after which a pod that did not fit is tried again in any case."""

    client: Client
    profile: profile.Profile = profile.DEFAULT
    longest_unschedulable: float = queue.UNSCHEDULABLE_MOST


async def run(config: SchedulerConfig, env: Env) -> None:
    """Schedule until cancelled."""
    async with asyncio.TaskGroup() as group:
        scheduler = Scheduler(config, env, group)
        await scheduler.start()
        env.started()
        await scheduler.work()


class Scheduler:
    """One scheduler: columns, queue, and the binding cycles in flight."""

    def __init__(self, config: SchedulerConfig, env: Env, group: asyncio.TaskGroup) -> None:
        self._profile = config.profile
        self._env = env
        self._group = group
        self.columns = Columns()
        self.queue = Queue(config.longest_unschedulable)
        self.nominations = Nominations()
        self._informers = informers = Informers(config.client, env)
        self._recorder = EventRecorder(config.client, config.profile.name, "", env)
        self._binding_cycle = BindingCycle(config.client, self._recorder, config.profile.name, env)
        self._default_selectors = DefaultSelectors(informers)
        self._volumes = Volumes(
            config.client,
            informers,
            self.columns,
            lambda: self._move_all(hints.VOLUMES_CHANGED),
        )
        self._budgets = informers.of(PodDisruptionBudget)
        self._score_cache = ScoreCache(config.profile)
        self._signatures = Signatures()
        self._namespaces: dict[str, dict[str, str]] = {}
        self._wake = asyncio.Event()
        self._assumed: set[str] = set()
        # Pods for which others are being evicted right now.
        self._evicting: set[str] = set()
        self._room = asyncio.Semaphore(ACTIONS)

    async def start(self) -> None:
        """Fill the columns and the queue."""
        informers = self._informers
        informers.of(Namespace).add_handler(self._on_namespace)
        informers.of(Node).add_handler(self._on_node)
        informers.of(Pod, field_selector=LIVE_PODS).add_handler(self._on_pod)
        self._volumes.follow()
        informers.start(self._group)
        self._group.create_task(self._recorder.run(), name="events")
        await informers.synced()

    async def work(self) -> None:
        """Schedule the next pod, or wait until there is one, for ever."""
        done = 0
        while True:
            # Pop only when a cycle may start: events meanwhile may change which pod is next.
            await self._room.acquire()
            waiting = self.queue.pop(self._env.clock.monotonic())
            if waiting is None:
                self._room.release()
                await self._wait()
                done = 0
                continue
            self._schedule(waiting)
            done += 1
            if done >= BATCH:
                await asyncio.sleep(0)
                done = 0

    async def _wait(self) -> None:
        """Return at the next event, or when the next backoff ends."""
        self._wake.clear()
        due = self.queue.next_due()
        if due is None:
            await self._wake.wait()
            return
        try:
            async with asyncio.timeout(max(due - self._env.clock.monotonic(), 0)):
                await self._wake.wait()
        except TimeoutError:
            # A backoff has ended.
            return

    # Events

    def _on_namespace(self, event: Event[Namespace]) -> None:
        meta = event.object.metadata
        if event.type == DELETED:
            self._namespaces.pop(meta.name, None)
        elif event.old is None or event.old.metadata.labels != meta.labels:
            self._namespaces[meta.name] = meta.labels
            self._move_all(hints.NAMESPACE_CHANGED)

    def _on_node(self, event: Event[Node]) -> None:
        node = event.object
        if event.type == DELETED:
            self.columns.drop_node(node.metadata.name)
            self._move_all(hints.NODE_DELETED)
            return
        self.columns.set_node(node)
        events = hints.of_node(event.old, node)
        if events:
            self._move_all(events)

    def _on_pod(self, event: Event[Pod]) -> None:
        pod = event.object
        uid = pod.metadata.uid
        if event.type == DELETED:
            self._drop_waiting(uid)
            self.columns.drop_pod(uid)
            self._move_all(hints.POD_DELETED)
        elif pod.spec.nodeName:
            self._drop_waiting(uid)
            request = self._request(pod)
            self.columns.set_pod(pod, pod.spec.nodeName, request)
            if event.type == ADDED or event.old is None or not event.old.spec.nodeName:
                self._move_all(hints.POD_ADDED)
            else:
                events = hints.of_pod(event.old, pod, self._request(event.old), request)
                if events:
                    self._move_all(events)
        elif uid in self._assumed:
            # Its binding is in flight; this event is older.
            return
        elif self._is_responsible(pod):
            self.nominations.set(pod, pod.status.nominatedNodeName)
            self.queue.add(pod, self._env.clock.monotonic())
            self._wake.set()
        else:
            self.nominations.drop(uid)
            self.queue.drop(uid)

    def _request(self, pod: Pod) -> Request:
        """What a pod takes of its node."""
        return scheduling_requests.of_running(pod, self._signatures.of(pod).request)

    def _drop_waiting(self, uid: str) -> None:
        """The pod is bound or deleted: it waits no longer."""
        self.queue.drop(uid)
        self.nominations.drop(uid)
        self._assumed.discard(uid)

    def _is_responsible(self, pod: Pod) -> bool:
        return pod.spec.schedulerName == self._profile.name and (
            pod.metadata.deletionTimestamp is None
        )

    def _move_all(self, events: ClusterEvents) -> None:
        if self.queue.move_all(events, self._env.clock.monotonic()):
            self._wake.set()

    # One pod

    def _schedule(self, waiting: QueuedPodInfo) -> None:
        """Decide, and run the binding cycle as a task, which releases the semaphore at its end."""
        pod = waiting.pod
        try:
            work = self._decide(pod)
        except Exception:
            # A pod that cannot be decided must not stop the others.
            meta = pod.metadata
            self._env.log.exception("deciding for %s/%s", meta.namespace, meta.name)
            self.queue.add_backoff(meta.uid, self._env.clock.monotonic())
            self._room.release()
            return
        task = self._group.create_task(work, name=f"schedule {pod.metadata.name}")
        task.add_done_callback(lambda _task: self._room.release())

    def _decide(self, pod: Pod) -> Coroutine[Any, Any, None]:
        """Decide for a pod and assume it; the coroutine writes the result."""
        pod_info = self._pod_info(pod)
        ahead = self.nominations.ahead_of(pod_info)
        chance = self._env.rng.random()
        decision = decide.decide(self.columns, pod_info, self._score_cache, chance, ahead)
        if decision.node:
            self._assume(pod_info, decision.node)
            bindings = Bindings()
            if pod_info.volumes is not None:
                bindings = volume_binding.choose(self.columns, decision.node, pod_info.volumes)
                bindings = self._volumes.assume(bindings, decision.node)
            return self._bind(pod, decision.node, bindings)
        plan = self._plan(pod_info, decision, ahead)
        self.queue.add_unschedulable(
            pod.metadata.uid, decision.plugins, self._env.clock.monotonic()
        )
        return self._handle_failure(pod, decision, plan)

    def _pod_info(self, pod: Pod) -> PodInfo:
        own = pod.spec.topologySpreadConstraints
        selector = None if own else self._default_selectors.of(pod)
        claims = self._volumes.of(pod)
        return PodInfo(pod, self._signatures.of(pod), selector, self._namespaces, claims)

    def _assume(self, pod_info: PodInfo, node: str) -> None:
        uid = pod_info.pod.metadata.uid
        self._assumed.add(uid)
        self.nominations.drop(uid)
        self.columns.set_pod(pod_info.pod, node, pod_info.request)

    async def _bind(self, pod: Pod, node: str, bindings: Bindings) -> None:
        try:
            if bindings.static or bindings.provisioned:
                await self._bind_volumes(bindings, node)
            await self._binding_cycle.bind(pod, node)
        except (*binding_cycle.ERRORS, NotBound) as error:
            self._volumes.forget(bindings)
            self._forget(pod, error)

    async def _bind_volumes(self, bindings: Bindings, node: str) -> None:
        """Bind the pod's volumes first; meanwhile other pods may have this one's place among the
        binding cycles, as a provisioner may take minutes."""
        self._room.release()
        try:
            await self._volumes.bind(bindings, node)
        finally:
            await self._room.acquire()

    def _forget(self, pod: Pod, error: Exception) -> None:
        """A binding failed: undo the assumption and retry."""
        uid = pod.metadata.uid
        self._env.log.warning("binding %s/%s: %s", pod.metadata.namespace, pod.metadata.name, error)
        if uid not in self._assumed:
            # The pod was deleted, or bound though the response was lost.
            return
        self._assumed.discard(uid)
        self.columns.drop_pod(uid)
        self._move_all(hints.POD_DELETED)
        if errors.is_not_found(error):
            self.queue.drop(uid)
            return
        self.nominations.set(pod, pod.status.nominatedNodeName)
        self.queue.add_backoff(uid, self._env.clock.monotonic())
        self._wake.set()

    def _plan(self, pod_info: PodInfo, decision: Decision, ahead: decide.Nominated) -> Plan:
        """The preemption plan for an unschedulable pod."""
        if not decision.total or pod_info.pod.metadata.uid in self._evicting:
            return Plan(keep=True)
        budgets = preempt.budgets(self._budgets.list())
        now = self._env.clock.now()
        state = PreemptionState(self.columns, pod_info, self._profile, ahead, budgets, now)
        plan = preempt.plan(state, decision, self._env.rng.random())
        if plan.node:
            self._evicting.add(pod_info.pod.metadata.uid)
            self.nominations.set(pod_info.pod, plan.node)
        elif not plan.keep:
            self.nominations.drop(pod_info.pod.metadata.uid)
        return plan

    async def _handle_failure(self, pod: Pod, decision: Decision, plan: Plan) -> None:
        """Report an unschedulable pod, and evict the victims of its preemption plan."""
        nomination = None if plan.keep else plan.node
        text = decide.message(decision, plan.message)
        await self._binding_cycle.report_unschedulable(pod, text, nomination)
        if plan.node:
            demoted = self.nominations.below(plan.node, preempt.priority(pod))
            try:
                await self._binding_cycle.evict(plan.victims, plan.node, pod, demoted)
            finally:
                self._evicting.discard(pod.metadata.uid)
