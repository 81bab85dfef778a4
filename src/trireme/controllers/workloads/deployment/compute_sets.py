"""The ReplicaSets of a Deployment: which has the present template, how many pods each may have.
Pure.

In: a Deployment and its ReplicaSets. Out: numbers and ReplicaSets. Called by ``plan``. Rules:
upstream pkg/controller/deployment/util;
https://kubernetes.io/docs/concepts/workloads/controllers/deployment/.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from trireme.api.apps.v1.deployment import Deployment
from trireme.api.apps.v1.replicaset import ReplicaSet, ReplicaSetSpec, ReplicaSetStatus
from trireme.domain import owners, templates
from trireme.machinery import intstr, meta

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
HISTORY_LENGTH = 2000
_NAME_LENGTH = 253
_NOT_COPIED = frozenset(
    (
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        HISTORY,
        DESIRED,
        MAXIMUM,
        "deprecated.deployment.rollback.to",
    )
)


def desired_replicas(deployment: Deployment) -> int:
    """How many pods there should be."""
    return 1 if deployment.spec.replicas is None else deployment.spec.replicas


def size(replica_set: ReplicaSet) -> int:
    """The desired number of pods of the ReplicaSet."""
    return 1 if replica_set.spec.replicas is None else replica_set.spec.replicas


def available(replica_set: ReplicaSet) -> int:
    """How many of its pods are available and stay: a status that is older than the last scaling
    down counts pods that are about to go. (Upstream takes it as it is.)"""
    return min(replica_set.status.availableReplicas, size(replica_set))


def total(sets: Iterable[ReplicaSet]) -> int:
    """The desired number of pods of the ReplicaSets together."""
    return sum(map(size, sets))


def is_rolling(deployment: Deployment) -> bool:
    """Whether the strategy is RollingUpdate."""
    return deployment.spec.strategy.type == "RollingUpdate"


def fenceposts(deployment: Deployment) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) as numbers of pods; (0, 0) unless it is a rolling update."""
    rolling = deployment.spec.strategy.rollingUpdate
    number = desired_replicas(deployment)
    if not is_rolling(deployment) or rolling is None:
        return 0, 0
    surge = intstr.resolve(rolling.maxSurge or 0, number, round_up=True)
    unavailable = intstr.resolve(rolling.maxUnavailable or 0, number, round_up=False)
    if surge == 0 and unavailable == 0:
        # Both may have been rounded to 0, with which no rollout could progress.
        unavailable = 1
    return surge, min(unavailable, number)


def by_age(sets: Iterable[ReplicaSet]) -> list[ReplicaSet]:
    """Oldest first."""
    return sorted(sets, key=lambda s: (s.metadata.creationTimestamp or "", s.metadata.name))


def newest(deployment: Deployment, sets: Iterable[ReplicaSet]) -> ReplicaSet | None:
    """The ReplicaSet of the present template; the oldest if there are several."""
    template = deployment.spec.template
    same = (item for item in by_age(sets) if templates.same(item.spec.template, template))
    return next(same, None)


def revision(replica_set: ReplicaSet) -> int:
    """Its revision; 0 when it has none that is readable."""
    text = replica_set.metadata.annotations.get(REVISION, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def new_replica_set(deployment: Deployment, old: Sequence[ReplicaSet], now_text: str) -> ReplicaSet:
    """The ReplicaSet for the present template, as it is to be created."""
    template = deployment.spec.template
    value = templates.hash_of(template, deployment.status.collisionCount)
    selector = deployment.spec.selector or meta.LabelSelector()
    labels = {**selector.matchLabels, templates.HASH_LABEL: value}
    room = _NAME_LENGTH - 1 - len(value)
    metadata = meta.ObjectMeta(
        name=f"{deployment.metadata.name[:room]}-{value}",
        namespace=deployment.metadata.namespace,
        labels={**template.metadata.labels, templates.HASH_LABEL: value},
        ownerReferences=[owners.reference(deployment)],
        creationTimestamp=now_text,
    )
    fresh = ReplicaSet(
        metadata=metadata,
        spec=ReplicaSetSpec(
            replicas=0,
            minReadySeconds=deployment.spec.minReadySeconds,
            selector=msgspec.structs.replace(selector, matchLabels=labels),
            template=templates.with_hash(template, value),
        ),
        status=ReplicaSetStatus(),
    )
    fresh = resized(fresh, new_size(deployment, fresh, [*old, fresh]))
    return with_counts(deployment, annotated(deployment, fresh, old))


def annotated(
    deployment: Deployment, replica_set: ReplicaSet, old: Iterable[ReplicaSet]
) -> ReplicaSet:
    """The ReplicaSet with the Deployment's annotations, and a revision above all others'."""
    before = replica_set.metadata.annotations
    copied = {k: v for k, v in deployment.metadata.annotations.items() if k not in _NOT_COPIED}
    annotations = {**before, **copied}
    number = 1 + max(map(revision, old), default=0)
    text = before.get(REVISION, "")
    if revision(replica_set) < number and (not text or text.isdigit()):
        annotations[REVISION] = str(number)
        if text:
            # A rollback: its former revisions are kept in the history.
            annotations[HISTORY] = _history(before.get(HISTORY, ""), text)
    return _with_annotations(replica_set, annotations)


def _history(before: str, number: str) -> str:
    if not before:
        return number
    kept = before.split(",")
    while kept and len(",".join((*kept, number))) > HISTORY_LENGTH:
        kept.pop(0)
    return ",".join((*kept, number))


def with_counts(deployment: Deployment, replica_set: ReplicaSet) -> ReplicaSet:
    """The ReplicaSet with the Deployment's counts as annotations, for proportional scaling."""
    number = desired_replicas(deployment)
    counts = {DESIRED: str(number), MAXIMUM: str(number + fenceposts(deployment)[0])}
    return _with_annotations(replica_set, {**replica_set.metadata.annotations, **counts})


def resized(replica_set: ReplicaSet, number: int) -> ReplicaSet:
    """The ReplicaSet asked to have so many pods."""
    if size(replica_set) == number and replica_set.spec.replicas is not None:
        return replica_set
    spec = msgspec.structs.replace(replica_set.spec, replicas=number)
    return msgspec.structs.replace(replica_set, spec=spec)


def new_size(deployment: Deployment, new: ReplicaSet, every: Iterable[ReplicaSet]) -> int:
    """How many pods the new ReplicaSet may have now."""
    number = desired_replicas(deployment)
    if not is_rolling(deployment):
        return number
    free = number + fenceposts(deployment)[0] - total(every)
    if free <= 0:
        return size(new)
    return size(new) + min(free, number - size(new))


def annotation_number(replica_set: ReplicaSet, name: str) -> int | None:
    """A count that ``with_counts`` wrote; None when it is not there or not readable."""
    text = replica_set.metadata.annotations.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else None


def is_scaled(deployment: Deployment, sets: Iterable[ReplicaSet]) -> bool:
    """Whether spec.replicas changed since it was recorded in the ReplicaSets' annotations."""
    for item in sets:
        recorded = annotation_number(item, DESIRED)
        if size(item) > 0 and recorded is not None and recorded != desired_replicas(deployment):
            return True
    return False


def is_saturated(deployment: Deployment, new: ReplicaSet | None) -> bool:
    """Whether the new ReplicaSet has all desired pods, and all are available."""
    if new is None:
        return False
    number = desired_replicas(deployment)
    recorded = annotation_number(new, DESIRED)
    return size(new) == number and recorded == number and new.status.availableReplicas == number


def proportional(
    deployment: Deployment, active: Sequence[ReplicaSet]
) -> list[tuple[ReplicaSet, int]]:
    """New sizes when a Deployment is scaled during a rollout: each ReplicaSet gets its share, and
    the largest gets the remainder of the rounding."""
    number = desired_replicas(deployment)
    allowed = number + fenceposts(deployment)[0] if number > 0 else 0
    difference = allowed - total(active)
    # Equal sizes: the newer grows first, the older shrinks first.
    ordered = by_age(active)
    if difference > 0:
        ordered.reverse()
    ordered.sort(key=size, reverse=True)
    sizes, given = [], 0
    for item in ordered:
        share = _share(deployment, item, difference, given) if difference else 0
        given += share
        sizes.append(size(item) + share)
    if sizes:
        sizes[0] = max(0, sizes[0] + difference - given)
    return list(zip(ordered, sizes, strict=True))


def _share(deployment: Deployment, item: ReplicaSet, difference: int, given: int) -> int:
    left = difference - given
    if size(item) == 0 or left == 0:
        return 0
    fraction = _fraction(deployment, item)
    return min(fraction, left) if difference > 0 else max(fraction, left)


def _fraction(deployment: Deployment, item: ReplicaSet) -> int:
    number = desired_replicas(deployment)
    if number == 0:
        return -size(item)
    before = annotation_number(item, MAXIMUM) or deployment.status.replicas
    if not before:
        return 0
    # Half away from zero: Python's own rounding goes to even numbers.
    return math.floor(size(item) * (number + fenceposts(deployment)[0]) / before + 0.5) - size(item)


def _with_annotations(replica_set: ReplicaSet, annotations: dict[str, str]) -> ReplicaSet:
    if annotations == replica_set.metadata.annotations:
        return replica_set
    metadata = msgspec.structs.replace(replica_set.metadata, annotations=annotations)
    return msgspec.structs.replace(replica_set, metadata=metadata)
