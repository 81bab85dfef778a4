"""What a StatefulSet needs next: pods created, deleted, corrected; their claims; its status. Pure.

In: the StatefulSet, its pods and claims, the current and the update revision, the time. Out: a
``Plan``: batches of actions, done one after the other until one fails, and a status of what was
observed. In order, a pod waits for those before it, and a deletion for all others. Called by
``reconcile``. Upstream: pkg/controller/statefulset/stateful_set_control;
https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#deployment-and-scaling-guarantees.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from trireme.api.apps.v1.controllerrevision import ControllerRevision
from trireme.api.apps.v1.statefulset_types import StatefulSet, StatefulSetStatus
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.core.v1.pod.pod import Pod
from trireme.controllers.workloads.statefulset import compute_claims, compute_pods
from trireme.controllers.workloads.statefulset.compute_claims import Claims
from trireme.domain import pods
from trireme.machinery import intstr


class Create(msgspec.Struct, frozen=True):
    """Create the claims that are missing, then the pod. ``problem`` says why it cannot be yet."""

    pod: Pod
    claims: list[PersistentVolumeClaim]
    problem: str = ""


class Delete(msgspec.Struct, frozen=True):
    """Delete the pod."""

    pod: Pod


class Correct(msgspec.Struct, frozen=True):
    """Create and update claims of a pod that is there; then update the pod, if it changes.
    ``conflicts`` are claims that others control."""

    pod: Pod
    create: list[PersistentVolumeClaim]
    update: list[PersistentVolumeClaim]
    changed: bool = False
    conflicts: list[str] = []
    problem: str = ""


Action = Create | Delete | Correct


class Plan(msgspec.Struct, frozen=True):
    """``batches`` are done in order, the actions of one side by side. ``revisit``: seconds until a
    pod becomes available."""

    batches: list[list[Action]]
    status: StatefulSetStatus
    revisit: float | None = None


class Observed(msgspec.Struct, frozen=True):
    """What there is of a StatefulSet."""

    pods: Sequence[Pod]
    claims: Claims
    current: ControllerRevision
    update: ControllerRevision
    collisions: int


def plan(stateful_set: StatefulSet, observed: Observed, now: float) -> Plan:
    """One step."""
    draft = _Draft(stateful_set, observed, now)
    if stateful_set.metadata.deletionTimestamp is None:
        for step in (_replicas, _condemned, _rolling_update):
            if not step(draft):
                break
    waits = [
        pods.available_in(pod, stateful_set.spec.minReadySeconds, now) for pod in observed.pods
    ]
    return Plan(
        [batch for batch in draft.batches if batch],
        _completed(stateful_set, draft.status),
        min((wait for wait in waits if wait), default=None),
    )


class _Draft:
    """A plan in the making: the pods by ordinal, and the status as it is observed."""

    def __init__(self, stateful_set: StatefulSet, observed: Observed, now: float) -> None:
        self.set, self.observed, self.now = stateful_set, observed, now
        self.ordered = stateful_set.spec.podManagementPolicy != "Parallel"
        self.min_ready = stateful_set.spec.minReadySeconds
        by_ordinal = {compute_pods.ordinal(pod): pod for pod in observed.pods}
        first = compute_pods.start(stateful_set)
        self.ordinals = range(first, first + compute_pods.replicas(stateful_set))
        self.replicas = [by_ordinal.get(number) for number in self.ordinals]
        # Those that are too many, the highest ordinal first.
        self.condemned = [
            by_ordinal[number]
            for number in sorted(by_ordinal, reverse=True)
            if number >= 0 and number not in self.ordinals
        ]
        self.first_unavailable = self._first_unavailable()
        self.status = _status(stateful_set, observed, now)
        self.batches: list[list[Action]] = []

    def is_unavailable(self, pod: Pod | None) -> bool:
        return compute_pods.is_unavailable(pod, self.min_ready, self.now)

    def blocks(self, pod: Pod) -> bool:
        """Whether the pod is not yet as those after it need it."""
        return not _is_running(pod) or not pods.is_available(pod, self.min_ready, self.now)

    def correction(self, pod: Pod, *, create: bool = False, identity: bool = False) -> Correct:
        """What the pod and its claims lack."""
        number = compute_pods.ordinal(pod)
        claims = self.observed.claims
        desired = compute_pods.corrected(self.set, pod) if identity else pod
        changed = desired is not pod
        if not changed and not self.set.spec.volumeClaimTemplates:
            return Correct(pod, [], [])
        missing = compute_claims.missing(self.set, number, claims) if create or changed else []
        update = compute_claims.corrected(self.set, pod, claims)
        problem = _problem(self.set, number, claims) if create or changed else ""
        conflicts = [
            claim.metadata.name
            for claim in update
            if compute_claims.has_unexpected_controller(claims[claim.metadata.name], self.set, pod)
        ]
        return Correct(desired, missing, update, changed, conflicts, problem)

    def _first_unavailable(self) -> Pod | None:
        for pod in (*self.replicas, *reversed(self.condemned)):
            if self.is_unavailable(pod):
                # A pod that is not there yet stands for itself: no other is the first.
                return pod
        return None


def _is_running(pod: Pod) -> bool:
    return pod.status.phase == "Running" and pods.is_ready(pod)


def _problem(stateful_set: StatefulSet, number: int, claims: Claims) -> str:
    gone = compute_claims.being_deleted(stateful_set, number, claims)
    return f"pvc {gone[0]} is being deleted" if gone else ""


def _replicas(draft: _Draft) -> bool:
    """Every ordinal has a pod that is as it should be; whether the plan may go on."""
    batch: list[Action] = []
    draft.batches.append(batch)
    for number, pod in zip(draft.ordinals, draft.replicas, strict=True):
        if not _replica(draft, batch, number, pod) and draft.ordered:
            return False
    return True


def _replica(draft: _Draft, batch: list[Action], number: int, pod: Pod | None) -> bool:
    """Act for one ordinal; whether, in order, the next one's turn has come."""
    if pod is None:
        fresh = compute_pods.made(draft.set, draft.observed.current, draft.observed.update, number)
        if not compute_claims.is_stale(draft.set, fresh, draft.observed.claims):
            missing = compute_claims.missing(draft.set, number, draft.observed.claims)
            batch.append(Create(fresh, missing, _problem(draft.set, number, draft.observed.claims)))
        return False
    if pods.is_finished(pod):
        # However it ended: it is deleted, and another of its name comes.
        if pod.metadata.deletionTimestamp is None:
            batch.append(Delete(pod))
        return False
    pending = pod.status.phase == "Pending"
    blocked = pod.metadata.deletionTimestamp is not None or draft.blocks(pod)
    unblocked = not draft.ordered or not blocked
    correction = draft.correction(pod, create=pending, identity=unblocked)
    needed = correction.create or correction.update or correction.changed or correction.problem
    if (pending or unblocked) and needed:
        batch.append(correction)
    return not blocked


def _condemned(draft: _Draft) -> bool:
    """Pods beyond the range go, from the highest ordinal on; whether the plan may go on."""
    corrections = [draft.correction(pod) for pod in draft.condemned]
    draft.batches.append([item for item in corrections if item.update])
    batch: list[Action] = []
    draft.batches.append(batch)
    for pod in draft.condemned:
        if pod.metadata.deletionTimestamp is not None:
            if draft.ordered:
                return False
            continue
        waits = draft.blocks(pod) and not pods.is_finished(pod)
        if draft.ordered and waits and pod is not draft.first_unavailable:
            return False
        batch.append(Delete(pod))
        if draft.ordered:
            return False
    return True


def _rolling_update(draft: _Draft) -> bool:
    """Pods of an old revision go, from the highest ordinal down to the partition: one at a time,
    or as many as may be unavailable."""
    strategy = draft.set.spec.updateStrategy
    if strategy.type == "OnDelete":
        return False
    rolling = strategy.rollingUpdate
    lowest = (rolling.partition or 0) if rolling is not None else 0
    candidates = [draft.replicas[i] for i in range(len(draft.replicas) - 1, lowest - 1, -1)]
    if rolling is not None and rolling.maxUnavailable is not None:
        limit = intstr.resolve(rolling.maxUnavailable, len(draft.replicas), round_up=False)
        room = max(limit, 1) - sum(map(draft.is_unavailable, draft.replicas))
        victims = [pod for pod in candidates if pod is not None and _is_old(draft, pod)]
    else:
        room = 1
        # Whatever is not available stops the update before it goes further down.
        blocking = [pod for pod in candidates if _is_old(draft, pod) or draft.is_unavailable(pod)]
        victims = [pod for pod in blocking[:1] if pod is not None and _is_old(draft, pod)]
    selected = victims[: max(room, 0)]
    draft.batches.append([Delete(pod) for pod in selected])
    draft.status.currentReplicas -= len(selected)
    return True


def _is_old(draft: _Draft, pod: Pod | None) -> bool:
    """Whether the pod is to make place for one of the update revision."""
    if pod is None or pod.metadata.deletionTimestamp is not None:
        return False
    return compute_pods.revision_of(pod) != draft.observed.update.metadata.name


def _status(stateful_set: StatefulSet, observed: Observed, now: float) -> StatefulSetStatus:
    current, update = observed.current.metadata.name, observed.update.metadata.name
    numbered = [pod for pod in observed.pods if compute_pods.ordinal(pod) >= 0]
    living = [pod for pod in numbered if pod.metadata.deletionTimestamp is None]
    ready = [pod for pod in numbered if _is_running(pod)]
    min_ready = stateful_set.spec.minReadySeconds
    return StatefulSetStatus(
        observedGeneration=max(
            stateful_set.metadata.generation, stateful_set.status.observedGeneration
        ),
        replicas=len(numbered),
        readyReplicas=len(ready),
        availableReplicas=sum(pods.is_available(pod, min_ready, now) for pod in ready),
        currentReplicas=_count(living, current),
        updatedReplicas=_count(living, update),
        currentRevision=current,
        updateRevision=update,
        collisionCount=observed.collisions,
        conditions=stateful_set.status.conditions,
    )


def _count(living: Iterable[Pod], revision: str) -> int:
    return sum(compute_pods.revision_of(pod) == revision for pod in living)


def _completed(stateful_set: StatefulSet, status: StatefulSetStatus) -> StatefulSetStatus:
    """The update revision becomes the current one once all pods have it and are ready."""
    desired = compute_pods.replicas(stateful_set)
    numbers = {status.updatedReplicas, status.readyReplicas, status.replicas}
    if stateful_set.spec.updateStrategy.type == "RollingUpdate" and numbers == {desired}:
        status.currentReplicas = status.updatedReplicas
        status.currentRevision = status.updateRevision
    return status
