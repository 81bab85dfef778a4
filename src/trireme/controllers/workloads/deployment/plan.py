"""What to do for a Deployment: ReplicaSets to create, change and delete, and its status. Pure.

In: the Deployment, its ReplicaSets, for Recreate also their pods, the time. Out: a ``Plan``; one
that has no actions and an equal Deployment means that nothing is to be done. Called by
``reconcile``. One step of a rollout at a time: the next follows when the ReplicaSets report.
Rules: upstream pkg/controller/deployment (sync, rolling, recreate);
https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#strategy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from trireme.api.apps.v1.deployment import Deployment
from trireme.api.apps.v1.replicaset import ReplicaSet
from trireme.api.core.v1.pod.pod import Pod
from trireme.controllers.workloads.deployment import compute_sets, compute_status
from trireme.domain import pods
from trireme.machinery import time


class Create(msgspec.Struct, frozen=True):
    """Create this ReplicaSet; ``note`` is the event's message, "" for none."""

    replica_set: ReplicaSet
    note: str = ""


class Update(msgspec.Struct, frozen=True):
    """Write this ReplicaSet; ``notes`` are messages of events about what changed."""

    replica_set: ReplicaSet
    notes: tuple[str, ...] = ()


class Delete(msgspec.Struct, frozen=True):
    """Delete this ReplicaSet of the history."""

    replica_set: ReplicaSet


Action = Create | Update | Delete


class Plan(msgspec.Struct, frozen=True):
    """Do the actions in order, then write the Deployment's status and annotations if they differ.
    ``revisit``: seconds until the next reconciliation, None for none."""

    actions: list[Action]
    deployment: Deployment
    revisit: float | None = None


def plan(
    deployment: Deployment,
    sets: Sequence[ReplicaSet],
    pods_by_set: Mapping[str, Sequence[Pod]],
    now: float,
) -> Plan:
    """The next step. ``pods_by_set``: pods by the uid of their ReplicaSet, used by Recreate
    only."""
    draft = _Draft(deployment, sets, now)
    if deployment.metadata.deletionTimestamp is not None:
        return draft.scaled_status()
    draft.deployment = compute_status.paused(draft.deployment, now)
    if deployment.spec.paused:
        _scale(draft)
        return draft.scaled_status()
    if compute_sets.is_scaled(deployment, draft.sets.values()):
        _scale(draft)
        return draft.scaled_status()
    if not compute_sets.is_rolling(deployment):
        return _recreate(draft, pods_by_set)
    return _roll(draft)


class _Draft:
    """The plan so far, and the ReplicaSets as they will be after it."""

    def __init__(self, deployment: Deployment, sets: Sequence[ReplicaSet], now: float) -> None:
        self.deployment = deployment
        self.now = now
        self.sets = {item.metadata.name: item for item in sets}
        self.actions: dict[str, Action] = {}
        newest = compute_sets.newest(deployment, sets)
        self._new = newest.metadata.name if newest is not None else ""
        if newest is not None:
            self._keep_current(newest)

    @property
    def new(self) -> ReplicaSet | None:
        """The ReplicaSet of the present template."""
        return self.sets.get(self._new)

    @property
    def old(self) -> list[ReplicaSet]:
        """All others, oldest first."""
        others = [item for name, item in self.sets.items() if name != self._new]
        return compute_sets.by_age(others)

    def every(self) -> list[ReplicaSet]:
        return list(self.sets.values())

    def create(self) -> None:
        """Make the ReplicaSet of the present template, if there is none."""
        if self.new is not None:
            return
        fresh = compute_sets.new_replica_set(self.deployment, self.old, time.format(self.now))
        name, count = fresh.metadata.name, compute_sets.size(fresh)
        note = f"Scaled up replica set {name} from 0 to {count}" if count else ""
        self.sets[name] = fresh
        self._new = name
        self.actions[name] = Create(fresh, note)
        self._set_revision(fresh)
        self.deployment = compute_status.progress(
            self.deployment,
            "True",
            "NewReplicaSetCreated",
            f'Created new replica set "{name}"',
            self.now,
        )

    def scale(self, item: ReplicaSet, number: int) -> None:
        """Set the ReplicaSet's size, and the Deployment's counts in its annotations."""
        before = compute_sets.size(item)
        changed = compute_sets.with_counts(self.deployment, compute_sets.resized(item, number))
        if changed == item:
            return
        notes: tuple[str, ...] = ()
        if number != before:
            way = "up" if number > before else "down"
            name = item.metadata.name
            notes = (f"Scaled {way} replica set {name} from {before} to {number}",)
        self._update(changed, notes)

    def delete(self, item: ReplicaSet) -> None:
        del self.sets[item.metadata.name]
        self.actions[item.metadata.name] = Delete(item)

    def scaled_status(self) -> Plan:
        """The plan, with the status of a Deployment that is scaled or paused."""
        status = compute_status.counts(self.deployment, self.every(), self.new, self.now)
        return self._finish(msgspec.structs.replace(self.deployment, status=status), None)

    def rollout_status(self) -> Plan:
        """The plan, with the status of a rollout."""
        status = compute_status.rollout(self.deployment, self.every(), self.new, self.now)
        left = None
        if not compute_status.is_complete(self.deployment, status):
            left = compute_status.deadline_in(self.deployment, status, self.now)
        # One second more: times are written in whole seconds.
        revisit = None if left is None else max(0.0, left) + 1.0
        return self._finish(msgspec.structs.replace(self.deployment, status=status), revisit)

    def _finish(self, deployment: Deployment, revisit: float | None) -> Plan:
        return Plan(list(self.actions.values()), deployment, revisit)

    def _keep_current(self, new: ReplicaSet) -> None:
        """Annotations and minReadySeconds of the Deployment are those of its new ReplicaSet."""
        changed = compute_sets.annotated(self.deployment, new, self.old)
        seconds = self.deployment.spec.minReadySeconds
        if changed.spec.minReadySeconds != seconds:
            spec = msgspec.structs.replace(changed.spec, minReadySeconds=seconds)
            changed = msgspec.structs.replace(changed, spec=spec)
        if changed != new:
            self._update(changed)
        self._set_revision(changed)
        known = compute_status.condition(
            self.deployment.status.conditions, compute_status.PROGRESSING
        )
        if known is None:
            message = f'Found new replica set "{new.metadata.name}"'
            self.deployment = compute_status.progress(
                self.deployment, "True", "FoundNewReplicaSet", message, self.now
            )

    def _update(self, changed: ReplicaSet, notes: tuple[str, ...] = ()) -> None:
        """Several changes of one ReplicaSet are one write."""
        name = changed.metadata.name
        self.sets[name] = changed
        match self.actions.get(name):
            case Create(_, note):
                self.actions[name] = Create(changed, note)
            case Update(_, before):
                self.actions[name] = Update(changed, (*before, *notes))
            case _:
                self.actions[name] = Update(changed, notes)

    def _set_revision(self, new: ReplicaSet) -> None:
        text = new.metadata.annotations.get(compute_sets.REVISION, "")
        annotations = self.deployment.metadata.annotations
        if annotations.get(compute_sets.REVISION, "") == text:
            return
        metadata = msgspec.structs.replace(
            self.deployment.metadata, annotations={**annotations, compute_sets.REVISION: text}
        )
        self.deployment = msgspec.structs.replace(self.deployment, metadata=metadata)


def _scale(draft: _Draft) -> None:
    """Scale the active ReplicaSets: spec.replicas changed, or the rollout is paused."""
    deployment, number = draft.deployment, compute_sets.desired_replicas(draft.deployment)
    active = _active(draft.every())
    if len(active) <= 1:
        only = active[0] if active else draft.new or (draft.old[-1] if draft.old else None)
        if only is not None:
            draft.scale(only, number)
    elif compute_sets.is_saturated(deployment, draft.new):
        for item in _active(draft.old):
            draft.scale(item, 0)
    elif compute_sets.is_rolling(deployment):
        for item, count in compute_sets.proportional(deployment, active):
            draft.scale(item, count)


def _roll(draft: _Draft) -> Plan:
    """A step of a rolling update: scale up, or scale down, or clean up."""
    draft.create()
    if not _scale_new(draft) and not _scale_old(draft):
        _clean_if_complete(draft)
    return draft.rollout_status()


def _scale_new(draft: _Draft) -> bool:
    """Whether the new ReplicaSet is scaled up (or down to spec.replicas)."""
    new, number = draft.new, compute_sets.desired_replicas(draft.deployment)
    assert new is not None
    if compute_sets.size(new) == number:
        return False
    count = number
    if compute_sets.size(new) < number:
        count = compute_sets.new_size(draft.deployment, new, draft.every())
    draft.scale(new, count)
    return count != compute_sets.size(new)


def _scale_old(draft: _Draft) -> bool:
    """Whether old ReplicaSets are scaled down, as far as enough pods stay available: first by their
    unhealthy pods, then the oldest ReplicaSet first."""
    old, new = _active(draft.old), draft.new
    assert new is not None
    if not old:
        return False
    minimum = (
        compute_sets.desired_replicas(draft.deployment)
        - compute_sets.fenceposts(draft.deployment)[1]
    )
    missing = compute_sets.size(new) - compute_sets.available(new)
    room = compute_sets.total(draft.every()) - minimum - missing
    if room <= 0:
        return False
    before = compute_sets.total(draft.old)
    for item in old:
        broken = compute_sets.size(item) - compute_sets.available(item)
        room -= _shrink(draft, item, min(room, broken))
    spare = sum(map(compute_sets.available, draft.every())) - minimum
    for item in _active(draft.old):
        spare -= _shrink(draft, item, min(spare, compute_sets.size(item)))
    return compute_sets.total(draft.old) != before


def _shrink(draft: _Draft, item: ReplicaSet, count: int) -> int:
    """Scale down by at most ``count`` pods; by how many."""
    if count <= 0:
        return 0
    draft.scale(item, compute_sets.size(item) - count)
    return count


def _recreate(draft: _Draft, pods_by_set: Mapping[str, Sequence[Pod]]) -> Plan:
    """Strategy Recreate: all old pods end before new ones are created."""
    old = _active(draft.old)
    for item in old:
        draft.scale(item, 0)
    if old or _old_pods_run(draft, pods_by_set):
        return draft.rollout_status()
    draft.create()
    new = draft.new
    assert new is not None
    if compute_sets.size(new) != compute_sets.desired_replicas(draft.deployment):
        draft.scale(new, compute_sets.desired_replicas(draft.deployment))
    _clean_if_complete(draft)
    return draft.rollout_status()


def _old_pods_run(draft: _Draft, pods_by_set: Mapping[str, Sequence[Pod]]) -> bool:
    if any(item.status.replicas for item in draft.old):
        return True
    current = draft.new.metadata.uid if draft.new is not None else ""
    return any(
        not pods.is_finished(pod)
        for uid, found in pods_by_set.items()
        if uid != current
        for pod in found
    )


def _clean_if_complete(draft: _Draft) -> None:
    """Delete old ReplicaSets beyond revisionHistoryLimit, once the rollout is complete."""
    deployment = draft.deployment
    limit = deployment.spec.revisionHistoryLimit
    if limit is None or limit == compute_status.NEVER:
        return
    if not compute_status.is_complete(deployment, deployment.status):
        return
    alive = [item for item in draft.old if item.metadata.deletionTimestamp is None]
    alive.sort(key=compute_sets.revision)
    for item in alive[: max(0, len(alive) - limit)]:
        observed = item.metadata.generation <= item.status.observedGeneration
        if observed and not item.status.replicas and not compute_sets.size(item):
            draft.delete(item)


def _active(sets: Iterable[ReplicaSet]) -> list[ReplicaSet]:
    return [item for item in sets if compute_sets.size(item) > 0]
