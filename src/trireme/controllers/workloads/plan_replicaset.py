"""How many pods a ReplicaSet or a ReplicationController creates or deletes, which ones, and its
status. Pure.

In: the set (either kind), its pods, the time. Out: ``Create``, ``Delete`` or None; a status.
Called by ``replicaset``. Rules: upstream pkg/controller/replicaset and the order of deletion in
pkg/controller/controller_utils;
https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#scaling-a-replicaset.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from trireme.api.apps.v1.replicaset import ReplicaSet, ReplicaSetCondition, ReplicaSetStatus
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.template import PodTemplateSpec
from trireme.api.core.v1.replicationcontroller import (
    ReplicationController,
    ReplicationControllerCondition,
    ReplicationControllerStatus,
)
from trireme.domain import pods
from trireme.machinery import time

BURST = 500
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
FAILURE = "ReplicaFailure"
AnySet = ReplicaSet | ReplicationController
AnyStatus = ReplicaSetStatus | ReplicationControllerStatus
# The order in which pods of a phase are deleted.
PHASES = {"Pending": 0, "Unknown": 1, "": 1, "Running": 2}


class Create(msgspec.Struct, frozen=True):
    """Create so many pods."""

    count: int


class Delete(msgspec.Struct, frozen=True):
    """Delete these pods."""

    pods: list[Pod]


def change(
    replica_set: AnySet, active: Sequence[Pod], related: Iterable[Pod], now: float
) -> Create | Delete | None:
    """What brings the number of active pods to that of the spec, at most 500 at a time.

    ``related`` are the active pods of all ReplicaSets of the same owner: nodes with many of them
    lose theirs first.
    """
    difference = len(active) - desired_replicas(replica_set)
    if difference < 0:
        return Create(min(-difference, BURST))
    if difference > 0:
        count = min(difference, BURST)
        victims = list(active)
        if count < len(victims):
            victims = rank(victims, related, now)[:count]
        return Delete(victims)
    return None


def desired_replicas(replica_set: AnySet) -> int:
    """The desired number of pods."""
    return 1 if replica_set.spec.replicas is None else replica_set.spec.replicas


def rank(victims: Sequence[Pod], related: Iterable[Pod], now: float) -> list[Pod]:
    """The pods in the order in which they may go."""
    pods_on_node = Counter(pod.spec.nodeName for pod in related)
    ranked = [_ranked(pod, pods_on_node, now) for pod in victims]
    return [item.pod for item in sorted(ranked, key=functools.cmp_to_key(_compare))]


def status(
    replica_set: AnySet,
    active: Sequence[Pod],
    terminating: int,
    failure: Exception | None,
    now: float,
) -> AnyStatus:
    """The desired status; equal to the present one when nothing changed."""
    old = replica_set.status
    labels = template(replica_set).metadata.labels.items()
    min_ready = replica_set.spec.minReadySeconds
    new = type(old)(
        replicas=len(active),
        fullyLabeledReplicas=sum(labels <= pod.metadata.labels.items() for pod in active),
        readyReplicas=sum(pods.is_ready(pod) for pod in active),
        availableReplicas=sum(pods.is_available(pod, min_ready, now) for pod in active),
        observedGeneration=max(old.observedGeneration, replica_set.metadata.generation),
        conditions=_conditions(replica_set, len(active), failure, now),
    )
    if isinstance(new, ReplicaSetStatus):
        new.terminatingReplicas = terminating
    return new


def template(replica_set: AnySet) -> PodTemplateSpec:
    """What its pods are made from."""
    return replica_set.spec.template or PodTemplateSpec()


def next_available(replica_set: AnySet, active: Iterable[Pod], now: float) -> float | None:
    """Seconds until a pod that is ready becomes available; None when there is none."""
    min_ready = replica_set.spec.minReadySeconds
    waits = [pods.available_in(pod, min_ready, now) for pod in active]
    return min((wait for wait in waits if wait), default=None)


def _conditions(
    replica_set: AnySet, active: int, failure: Exception | None, now: float
) -> list[Any]:
    others = [item for item in replica_set.status.conditions if item.type != FAILURE]
    present = [item for item in replica_set.status.conditions if item.type == FAILURE]
    if failure is None:
        return others
    if present:
        return replica_set.status.conditions
    reason = "FailedCreate" if active < desired_replicas(replica_set) else "FailedDelete"
    replicates = isinstance(replica_set, ReplicaSet)
    kind = ReplicaSetCondition if replicates else ReplicationControllerCondition
    condition = kind(
        type=FAILURE,
        status="True",
        lastTransitionTime=time.format(now),
        reason=reason,
        message=str(failure),
    )
    return [*others, condition]


class _Ranked(msgspec.Struct, frozen=True):
    """A pod and its rank for deletion; of the first ``criteria`` that differ, the smaller is
    deleted first."""

    pod: Pod
    criteria: tuple[int, ...]
    ready_since: float | None
    restarts: tuple[int, int]
    created: float
    now: float


def _ranked(pod: Pod, pods_on_node: Counter[str], now: float) -> _Ranked:
    criteria = (
        int(bool(pod.spec.nodeName)),
        PHASES.get(pod.status.phase, 1),
        int(pods.is_ready(pod)),
        deletion_cost(pod),
        -pods_on_node[pod.spec.nodeName],
    )
    created = pod.metadata.creationTimestamp
    return _Ranked(
        pod,
        criteria,
        pods.ready_since(pod),
        restarts(pod),
        time.parse(created) if created else now,
        now,
    )


def deletion_cost(pod: Pod) -> int:
    """The cost of deleting the pod by its annotation; 0 when it is absent or no int32."""
    text = pod.metadata.annotations.get(DELETION_COST, "0")
    digits = text.removeprefix("-")
    readable = digits.isascii() and digits.isdigit() and str(int(digits)) == digits
    cost = int(text) if readable else 0
    return cost if -(2**31) <= cost < 2**31 else 0


def _compare(one: _Ranked, other: _Ranked) -> int:
    if one.criteria != other.criteria:
        return -1 if one.criteria < other.criteria else 1
    if one.ready_since != other.ready_since:
        if one.ready_since is None or other.ready_since is None:
            return -1 if one.ready_since is None else 1
        return _younger(one, other, one.ready_since, other.ready_since)
    if one.restarts != other.restarts:
        return -1 if one.restarts > other.restarts else 1
    if one.created != other.created:
        return _younger(one, other, one.created, other.created)
    return 0


def _younger(one: _Ranked, other: _Ranked, since_one: float, since_other: float) -> int:
    """The younger is deleted first; of those in the same logarithmic bucket of age, by uid."""
    difference = _magnitude(one.now - since_one) - _magnitude(other.now - since_other)
    if difference:
        return difference
    return -1 if one.pod.metadata.uid < other.pod.metadata.uid else 1


def _magnitude(age: float) -> int:
    return int(math.log2(age * 1e9)) if age > 0 else -1


def restarts(pod: Pod) -> tuple[int, int]:
    """The most restarts of a container, and of a sidecar."""
    sidecars = {item.name for item in pod.spec.initContainers if item.restartPolicy == "Always"}
    main = max((item.restartCount for item in pod.status.containerStatuses), default=0)
    beside = max(
        (s.restartCount for s in pod.status.initContainerStatuses if s.name in sidecars), default=0
    )
    return main, beside
