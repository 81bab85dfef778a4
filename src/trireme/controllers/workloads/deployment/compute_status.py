"""The status of a Deployment: counts, conditions, and when to look again. Pure.

In: the Deployment, its ReplicaSets (as the plan leaves them), the time. Out: a status. Called by
``plan``. Reasons and messages are upstream's, because people and programs read them;
https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from trireme.api.apps.v1.deployment import Deployment, DeploymentCondition, DeploymentStatus
from trireme.api.apps.v1.replicaset import ReplicaSet
from trireme.controllers.workloads.deployment import compute_sets
from trireme.machinery import time

AVAILABLE, PROGRESSING, FAILURE = "Available", "Progressing", "ReplicaFailure"
NEVER = 2**31 - 1

Conditions = list[DeploymentCondition]


def condition(conditions: Iterable[DeploymentCondition], kind: str) -> DeploymentCondition | None:
    """The condition of a type."""
    return next((item for item in conditions if item.type == kind), None)


def without(conditions: Conditions, kind: str) -> Conditions:
    """The conditions but for one type."""
    return [item for item in conditions if item.type != kind]


def set_condition(
    conditions: Conditions, kind: str, status: str, reason: str, message: str, now: float
) -> Conditions:
    """The conditions with this one; one of the same status and reason is left unchanged."""
    before = condition(conditions, kind)
    if before is not None and (before.status, before.reason) == (status, reason):
        return conditions
    return _put(conditions, kind, status, reason, message, now)


def _put(
    conditions: Conditions, kind: str, status: str, reason: str, message: str, now: float
) -> Conditions:
    before = condition(conditions, kind)
    moved = before is None or before.status != status
    text = time.format(now)
    since = text if moved or before is None else before.lastTransitionTime
    fresh = DeploymentCondition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        lastUpdateTime=text,
        lastTransitionTime=since,
    )
    return [*without(conditions, kind), fresh]


def has_deadline(deployment: Deployment) -> bool:
    """Whether a rollout without progress is reported."""
    return deployment.spec.progressDeadlineSeconds not in (None, NEVER)


def progress(
    deployment: Deployment, status: str, reason: str, message: str, now: float
) -> Deployment:
    """The Deployment with this condition Progressing, where it has a deadline."""
    if not has_deadline(deployment):
        return deployment
    return with_conditions(
        deployment,
        set_condition(deployment.status.conditions, PROGRESSING, status, reason, message, now),
    )


def with_conditions(deployment: Deployment, conditions: Conditions) -> Deployment:
    """The Deployment with these conditions."""
    status = msgspec.structs.replace(deployment.status, conditions=conditions)
    return msgspec.structs.replace(deployment, status=status)


def paused(deployment: Deployment, now: float) -> Deployment:
    """The Deployment with the condition for a paused or resumed rollout."""
    before = condition(deployment.status.conditions, PROGRESSING)
    reason = before.reason if before is not None else ""
    if reason == "ProgressDeadlineExceeded":
        return deployment
    if deployment.spec.paused and reason != "DeploymentPaused":
        return progress(deployment, "Unknown", "DeploymentPaused", "Deployment is paused", now)
    if not deployment.spec.paused and reason == "DeploymentPaused":
        return progress(deployment, "Unknown", "DeploymentResumed", "Deployment is resumed", now)
    return deployment


def counts(
    deployment: Deployment, every: Sequence[ReplicaSet], new: ReplicaSet | None, now: float
) -> DeploymentStatus:
    """The replica counts and the condition Available."""
    available = sum(item.status.availableReplicas for item in every)
    number = compute_sets.desired_replicas(deployment)
    enough = available >= number - compute_sets.fenceposts(deployment)[1]
    conditions = set_condition(
        deployment.status.conditions,
        AVAILABLE,
        "True" if enough else "False",
        "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        f"Deployment {'has' if enough else 'does not have'} minimum availability.",
        now,
    )
    terminating = [item.status.terminatingReplicas for item in every]
    return DeploymentStatus(
        observedGeneration=deployment.metadata.generation,
        replicas=sum(item.status.replicas for item in every),
        updatedReplicas=new.status.replicas if new is not None else 0,
        readyReplicas=sum(item.status.readyReplicas for item in every),
        availableReplicas=available,
        unavailableReplicas=max(0, compute_sets.total(every) - available),
        # Unknown while a ReplicaSet does not report it.
        terminatingReplicas=None if None in terminating else sum(filter(None, terminating)),
        collisionCount=deployment.status.collisionCount,
        conditions=conditions,
    )


def is_complete(deployment: Deployment, status: DeploymentStatus) -> bool:
    """All pods are of the new template and available, and no others are left."""
    number = compute_sets.desired_replicas(deployment)
    return (
        status.updatedReplicas == status.replicas == status.availableReplicas == number
        and status.observedGeneration >= deployment.metadata.generation
    )


def rollout(
    deployment: Deployment, every: Sequence[ReplicaSet], new: ReplicaSet | None, now: float
) -> DeploymentStatus:
    """The status during and after a rollout: ``counts`` and the condition Progressing."""
    status = counts(deployment, every, new, now)
    conditions = status.conditions
    if not has_deadline(deployment):
        conditions = without(conditions, PROGRESSING)
    else:
        conditions = _progress(deployment, status, new, now)
    return msgspec.structs.replace(status, conditions=_failures(conditions, every, new))


def _progress(
    deployment: Deployment, status: DeploymentStatus, new: ReplicaSet | None, now: float
) -> Conditions:
    before = condition(deployment.status.conditions, PROGRESSING)
    conditions = status.conditions
    done = before is not None and before.reason == "NewReplicaSetAvailable"
    if done and status.replicas == status.updatedReplicas:
        # Pods that fail after the rollout do not start a new one.
        return conditions
    name = f'ReplicaSet "{new.metadata.name}"' if new else f'Deployment "{_name(deployment)}"'
    if is_complete(deployment, status):
        message = f"{name} has successfully progressed."
        return set_condition(
            conditions, PROGRESSING, "True", "NewReplicaSetAvailable", message, now
        )
    if _moved(deployment.status, status):
        # Also when the reason stays: its lastUpdateTime is what the deadline counts from.
        message = f"{name} is progressing."
        return _put(conditions, PROGRESSING, "True", "ReplicaSetUpdated", message, now)
    if _is_late(deployment, status, now):
        message = f"{name} has timed out progressing."
        return set_condition(
            conditions, PROGRESSING, "False", "ProgressDeadlineExceeded", message, now
        )
    return conditions


def _moved(old: DeploymentStatus, new: DeploymentStatus) -> bool:
    return (
        new.updatedReplicas > old.updatedReplicas
        or new.replicas - new.updatedReplicas < old.replicas - old.updatedReplicas
        or new.readyReplicas > old.readyReplicas
        or new.availableReplicas > old.availableReplicas
    )


def _is_late(deployment: Deployment, status: DeploymentStatus, now: float) -> bool:
    left = deadline_in(deployment, status, now)
    before = condition(status.conditions, PROGRESSING)
    known = before is not None and before.reason == "ProgressDeadlineExceeded"
    return known or (left is not None and left < 0)


def deadline_in(deployment: Deployment, status: DeploymentStatus, now: float) -> float | None:
    """Seconds until a rollout exceeds its progress deadline; None when none is under way."""
    last = condition(status.conditions, PROGRESSING)
    limit = deployment.spec.progressDeadlineSeconds
    if limit is None or limit == NEVER or last is None or not last.lastUpdateTime:
        return None
    if last.reason in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded"):
        return None
    return time.parse(last.lastUpdateTime) + limit - now


def _failures(
    conditions: Conditions, every: Sequence[ReplicaSet], new: ReplicaSet | None
) -> Conditions:
    """ReplicaFailure of the ReplicaSets as the Deployment's condition; the new one's first."""
    for item in (*([new] if new is not None else []), *every):
        for found in item.status.conditions:
            if found.type != FAILURE:
                continue
            before = condition(conditions, FAILURE)
            if before and (before.status, before.reason) == (found.status, found.reason):
                return conditions
            copied = DeploymentCondition(
                type=FAILURE,
                status=found.status,
                reason=found.reason,
                message=found.message,
                lastUpdateTime=found.lastTransitionTime,
                lastTransitionTime=found.lastTransitionTime,
            )
            return [*without(conditions, FAILURE), copied]
    return without(conditions, FAILURE)


def _name(deployment: Deployment) -> str:
    return deployment.metadata.name
