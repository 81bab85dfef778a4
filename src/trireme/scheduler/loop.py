"""The scheduler as a Component: events into columns and queue, one decision after another, binds.

In: ``SchedulerConfig`` and an ``Env``. Out: bindings, PodScheduled conditions and events. A decision
is assumed at once, so that the next one counts with it, while its binding is still on its way;
several bindings are in flight at a time. A binding that fails is forgotten and tried again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from trireme.api.core.v1.namespace import Namespace
from trireme.api.core.v1.node import Node
from trireme.api.core.v1.pod.binding import Binding
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.status import PodCondition
from trireme.api.core.v1.references import ObjectReference
from trireme.api.core.v1.service import Service
from trireme.client.client import Client
from trireme.client.handle import ADDED, DELETED
from trireme.client.transport import Unreachable
from trireme.kit.env import Env
from trireme.machinery import errors, time
from trireme.machinery.meta import ObjectMeta
from trireme.machinery.status import Status
from trireme.runtime.informer import Event, Informer, Informers
from trireme.runtime.recorder import EventRecorder
from trireme.scheduler import decide, hints, profile
from trireme.scheduler.decide import Decision
from trireme.scheduler.framework import Subject
from trireme.scheduler.queue import Queue, Waiting
from trireme.scheduler.snapshot import requests
from trireme.scheduler.snapshot.columns import Columns

BINDERS = 16
# How many pods are decided before other tasks get a turn.
BATCH = 32


@dataclass(frozen=True)
class SchedulerConfig:
    """``profile`` decides for pods whose ``schedulerName`` is its name."""

    client: Client
    profile: profile.Profile = profile.DEFAULT


async def run(config: SchedulerConfig, env: Env) -> None:
    """Schedule until cancelled."""
    async with asyncio.TaskGroup() as group:
        scheduler = Scheduler(config, env, group)
        await scheduler.start()
        env.started()
        await scheduler.work()


class Scheduler:
    """One scheduler: what it knows, what waits, what is being bound."""

    def __init__(self, config: SchedulerConfig, env: Env, group: asyncio.TaskGroup) -> None:
        self._client = config.client
        self._profile = config.profile
        self._env = env
        self._group = group
        self.columns = Columns()
        self.queue = Queue()
        self._informers = Informers(config.client, env)
        self._services: Informer[Service]
        self._namespaces: Informer[Namespace]
        self._recorder = EventRecorder(config.client, config.profile.name, "", env)
        self._wake = asyncio.Event()
        self._assumed: dict[str, str] = {}
        self._room = asyncio.Semaphore(BINDERS)

    async def start(self) -> None:
        """Fill the columns and the queue."""
        informers = self._informers
        informers.of(Node).add_handler(self._on_node)
        informers.of(
            Pod, field_selector="status.phase!=Succeeded,status.phase!=Failed"
        ).add_handler(self._on_pod)
        self._services = informers.of(Service)
        self._namespaces = informers.of(Namespace)
        informers.start(self._group)
        self._group.create_task(self._recorder.run(), name="events")
        await informers.synced()

    async def work(self) -> None:
        """Decide for ever: the next pod, or wait until there is one."""
        done = 0
        while True:
            waiting = self.queue.pop(self._env.clock.monotonic())
            if waiting is None:
                await self._idle()
                done = 0
                continue
            await self._room.acquire()
            self._schedule(waiting)
            done += 1
            if done >= BATCH:
                await asyncio.sleep(0)
                done = 0

    async def _idle(self) -> None:
        """Return when something has happened or a pod's time has come."""
        self._wake.clear()
        due = self.queue.next_due()
        if due is None:
            await self._wake.wait()
            return
        patience = max(due - self._env.clock.monotonic(), 0.001)
        try:
            async with asyncio.timeout(patience):
                await self._wake.wait()
        except TimeoutError:
            pass

    # Events

    def _on_node(self, event: Event[Node]) -> None:
        node = event.object
        if event.type == DELETED:
            self.columns.drop_node(node.metadata.name)
            return
        self.columns.set_node(node)
        concerns = hints.of_node(event.old, node)
        if concerns:
            self._happened(concerns)

    def _on_pod(self, event: Event[Pod]) -> None:
        pod = event.object
        uid = pod.metadata.uid
        if event.type == DELETED:
            self.queue.drop(uid)
            self._assumed.pop(uid, None)
            self.columns.drop_pod(uid)
            self._happened(hints.POD_WENT)
        elif pod.spec.nodeName:
            self.queue.drop(uid)
            self._assumed.pop(uid, None)
            self.columns.set_pod(pod, pod.spec.nodeName)
            if event.type == ADDED or event.old is None or not event.old.spec.nodeName:
                self._happened(hints.POD_CAME)
            else:
                concerns = hints.of_pod(event.old, pod)
                if concerns:
                    self._happened(concerns)
        elif self._is_mine(pod):
            if uid not in self._assumed:
                self.queue.add(pod, self._env.clock.monotonic())
                self._wake.set()
        else:
            self.queue.drop(uid)

    def _is_mine(self, pod: Pod) -> bool:
        return pod.spec.schedulerName == self._profile.name and (
            pod.metadata.deletionTimestamp is None
        )

    def _happened(self, concerns: frozenset[str]) -> None:
        if self.queue.happened(concerns, self._env.clock.monotonic()):
            self._wake.set()

    # One pod

    def _schedule(self, waiting: Waiting) -> None:
        """Decide and hand the decision to a task; takes one of the binders' places."""
        pod = waiting.pod
        subject = self._subject(pod)
        decision = decide.decide(self.columns, subject, self._profile, self._env.rng.random())
        uid = pod.metadata.uid
        if not decision.node:
            self.queue.refused(uid, decision.plugins, self._env.clock.monotonic())
            work = self._tell_why_not(pod, decision)
        else:
            self._assumed[uid] = decision.node
            self.columns.set_pod(pod, decision.node, subject.request)
            work = self._bind(pod, decision.node)
        task = self._group.create_task(work, name=f"schedule {pod.metadata.name}")
        task.add_done_callback(lambda _task: self._room.release())

    def _subject(self, pod: Pod) -> Subject:
        selector: dict[str, str] = {}
        if not pod.spec.topologySpreadConstraints:
            selector = self._default_selector(pod)
        namespaces = (
            {item.metadata.name: item.metadata.labels for item in self._namespaces.list()}
            if pod.spec.affinity is not None
            else {}
        )
        return Subject(pod, requests.of(pod), selector, namespaces)

    def _default_selector(self, pod: Pod) -> dict[str, str]:
        """What tells a pod's siblings: the selectors of its Services, and its template's hash."""
        own = pod.metadata.labels
        found: dict[str, str] = {}
        for service in self._services.list(pod.metadata.namespace):
            selector = service.spec.selector
            if selector and all(own.get(key) == value for key, value in selector.items()):
                found |= selector
        if pod.metadata.ownerReferences:
            for key in ("pod-template-hash", "controller-revision-hash"):
                if key in own:
                    found[key] = own[key]
        return found

    async def _bind(self, pod: Pod, node: str) -> None:
        meta = pod.metadata
        binding = Binding(
            metadata=ObjectMeta(name=meta.name, namespace=meta.namespace, uid=meta.uid),
            target=ObjectReference(kind="Node", name=node),
        )
        try:
            await self._client.create_subresource(
                Pod, meta.name, meta.namespace, "binding", binding, Status
            )
        except (errors.ApiError, Unreachable) as fault:
            self._forget(pod, fault)
            return
        self._recorder.event(
            pod,
            "Normal",
            "Scheduled",
            f"Successfully assigned {meta.namespace}/{meta.name} to {node}",
        )

    def _forget(self, pod: Pod, fault: Exception) -> None:
        """A binding failed: the pod is on no node after all."""
        uid = pod.metadata.uid
        self._env.log.warning("binding %s/%s: %s", pod.metadata.namespace, pod.metadata.name, fault)
        if self._assumed.pop(uid, None) is not None:
            self.columns.drop_pod(uid)
            self._happened(hints.POD_WENT)
        gone = isinstance(fault, errors.ApiError) and errors.is_not_found(fault)
        if not gone:
            self.queue.failed(uid, self._env.clock.monotonic())
            self._wake.set()

    async def _tell_why_not(self, pod: Pod, decision: Decision) -> None:
        """Condition and event: unschedulable, and why."""
        text = decide.message(decision)
        self._recorder.event(pod, "Warning", "FailedScheduling", text)
        known = next((c for c in pod.status.conditions if c.type == "PodScheduled"), None)
        same = known is not None and (known.status, known.reason, known.message) == (
            "False",
            "Unschedulable",
            text,
        )
        if same:
            return
        moment = time.format(self._env.clock.now())
        if known is not None and known.status == "False" and known.lastTransitionTime:
            moment = known.lastTransitionTime
        condition = PodCondition(
            type="PodScheduled",
            status="False",
            reason="Unschedulable",
            message=text,
            lastTransitionTime=moment,
            observedGeneration=pod.metadata.generation,
        )
        try:
            await self._client.patch(
                Pod,
                pod.metadata.name,
                pod.metadata.namespace,
                {"status": {"conditions": [_plain(condition)]}},
                kind="strategic",
                subresource="status",
            )
        except (errors.ApiError, Unreachable) as fault:
            if not (isinstance(fault, errors.ApiError) and errors.is_not_found(fault)):
                self._env.log.warning(
                    "condition of %s/%s: %s", pod.metadata.namespace, pod.metadata.name, fault
                )


def _plain(condition: PodCondition) -> dict[str, object]:
    return {
        name: value
        for name in condition.__struct_fields__
        if (value := getattr(condition, name)) not in ("", None, 0)
    }
