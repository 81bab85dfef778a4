"""Pending resizes of this node's pods: which are allocated now, which wait, what is said about it.

In: versions of pods from the API, changes that free resources, results of the rounds that carry
resizes out. Out: allocations, conditions, events. Called by workers and worker. Rules: KEP-1287;
the kubelet's allocation manager.
"""

from __future__ import annotations

from collections.abc import Callable

from trireme.api.core import v1 as core
from trireme.api.core.v1.pod import qos
from trireme.kit.env import Env
from trireme.kubelet import podresources
from trireme.kubelet.events import NORMAL, WARNING, Events
from trireme.kubelet.resize import conditions
from trireme.kubelet.resize.store import Allocations

RETRY_SECONDS = 180.0


class Refusal:
    """Why a resize is not allocated: ``Deferred`` or ``Infeasible``, and a message."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason, self.message = reason, message


class Resizes:
    """``fits`` says whether a pod with its desired resources fits now; ``allocated`` is called
    with the pod to run after its allocation or a condition changed."""

    def __init__(
        self,
        env: Env,
        allocations: Allocations,
        events: Events,
        fits: Callable[[core.Pod], Refusal | None],
        changed: Callable[[core.Pod], None],
    ) -> None:
        self._env = env
        self._allocations = allocations
        self._events = events
        self._fits = fits
        self._changed = changed
        # Newest versions of pods as the API has them.
        self._desired: dict[str, core.Pod] = {}
        self._pending: set[str] = set()
        self._conditions: dict[str, dict[str, core.PodCondition]] = {}
        # Until all pods of the first list are admitted, nothing is allocated to any.
        self._ready = False

    def start(self) -> None:
        """Every pod of the first list was added."""
        self._ready = True
        self.retry()

    def load(self, pod: core.Pod) -> core.Pod:
        """A pod that is new here, with what an earlier kubelet allocated to it."""
        self._allocations.load(pod)
        return self._allocations.pod(pod)

    def admit(self, pod: core.Pod) -> None:
        """``pod``, as the API has it, is admitted with what ``load`` gave it."""
        uid = pod.metadata.uid
        self._desired[uid] = pod
        running = self._allocations.pod(pod)
        self._allocations.admit(running)
        for item in pod.status.conditions:
            if item.type in conditions.TYPES:
                self._conditions.setdefault(uid, {})[item.type] = item
        if running is not pod:
            self._pending.add(uid)
            self.retry()

    def update(self, pod: core.Pod) -> core.Pod:
        """A new version of a known pod; the pod to run."""
        uid = pod.metadata.uid
        if uid not in self._desired:
            return pod
        self._desired[uid] = pod
        running = self._allocations.pod(pod)
        if running is pod:
            self._pending.discard(uid)
            self._clear(uid, conditions.PENDING)
            return pod
        known = self._condition(uid, conditions.PENDING)
        if known is None or known.observedGeneration != pod.metadata.generation:
            self._pending.add(uid)
            self.retry()
        return self._allocations.pod(pod)

    def forget(self, uid: str) -> None:
        """The pod's containers are gone."""
        if self._desired.pop(uid, None) is None:
            return
        self._pending.discard(uid)
        self._conditions.pop(uid, None)
        self.retry()

    def retry(self) -> None:
        """Allocate what fits now."""
        if not self._ready:
            return
        for pod in sorted((self._desired[uid] for uid in self._pending), key=self._order):
            before = self.conditions(pod.metadata.uid)
            allocated = self._try(pod)
            if allocated or self.conditions(pod.metadata.uid) != before:
                self._changed(self._allocations.pod(pod))

    async def retry_forever(self) -> None:
        while True:
            await self._env.clock.sleep(RETRY_SECONDS)
            self.retry()

    # ---- what a round reports

    def conditions(self, uid: str) -> tuple[core.PodCondition, ...]:
        return tuple(self._conditions.get(uid, {}).values())

    def in_progress(self, pod: core.Pod) -> None:
        if self._condition(pod.metadata.uid, conditions.IN_PROGRESS) is None:
            self._set(pod, conditions.IN_PROGRESS, "", "", pod.metadata.generation)

    def failed(self, pod: core.Pod, problem: str) -> None:
        """The allocated resources could not be put in force; the round is retried."""
        before = self._condition(pod.metadata.uid, conditions.IN_PROGRESS)
        generation = pod.metadata.generation if before is None else before.observedGeneration
        self._set(pod, conditions.IN_PROGRESS, conditions.ERROR, problem, generation)
        if before is None or (before.reason, before.message) != (conditions.ERROR, problem):
            text = conditions.message("Pod resize error", pod, generation, problem)
            self._events.pod(pod, WARNING, "ResizeError", text)

    def completed(self, pod: core.Pod) -> None:
        """All that is allocated is in force."""
        uid = pod.metadata.uid
        self._allocations.complete(uid)
        before = self._condition(uid, conditions.IN_PROGRESS)
        if before is not None:
            self._clear(uid, conditions.IN_PROGRESS)
            text = conditions.message("Pod resize completed", pod, before.observedGeneration)
            self._events.pod(pod, NORMAL, "ResizeCompleted", text)
            self.retry()

    # ---- one resize

    def _try(self, pod: core.Pod) -> bool:
        """Whether the desired resources were allocated."""
        uid, generation = pod.metadata.uid, pod.metadata.generation
        refusal = self._fits(pod)
        if refusal is None:
            self._pending.discard(uid)
            self._clear(uid, conditions.PENDING)
            self._clear(uid, conditions.IN_PROGRESS)
            self._allocations.resize(pod)
            self._set(pod, conditions.IN_PROGRESS, "", "", generation)
            text = conditions.message("Pod resize started", pod, generation)
            self._events.pod(pod, NORMAL, "ResizeStarted", text)
            return True
        if refusal.reason == conditions.INFEASIBLE:
            self._pending.discard(uid)
        before = self._condition(uid, conditions.PENDING)
        self._set(pod, conditions.PENDING, refusal.reason, refusal.message, generation)
        if before is None or (before.reason, before.observedGeneration) != (
            refusal.reason,
            generation,
        ):
            prefix = f"Pod resize {refusal.reason}"
            text = conditions.message(prefix, pod, generation, refusal.message)
            self._events.pod(pod, WARNING, f"Resize{refusal.reason}", text)
        return False

    def _order(self, pod: core.Pod) -> tuple[bool, int, bool, str]:
        """What asks for no more comes first, then by priority, QoS class, and time of waiting."""
        now = podresources.pod_requests(self._allocations.pod(pod))
        desired = podresources.pod_requests(pod)
        grows = any(desired.get(name, 0) > now.get(name, 0) for name in ("cpu", "memory"))
        pending = self._condition(pod.metadata.uid, conditions.PENDING)
        since = pending.lastTransitionTime or "" if pending is not None else "~"
        guaranteed = qos.of(pod.spec) == qos.GUARANTEED
        return grows, -(pod.spec.priority or 0), not guaranteed, since

    def _condition(self, uid: str, kind: str) -> core.PodCondition | None:
        return self._conditions.get(uid, {}).get(kind)

    def _set(self, pod: core.Pod, kind: str, reason: str, text: str, generation: int) -> None:
        uid = pod.metadata.uid
        before, now = self._condition(uid, kind), self._env.clock.now()
        made = conditions.condition(kind, before, reason, text, generation, now)
        self._conditions.setdefault(uid, {})[kind] = made

    def _clear(self, uid: str, kind: str) -> None:
        self._conditions.get(uid, {}).pop(kind, None)
