"""The claims of a StatefulSet's pods: what they are made from, and who owns them. Pure.

With a retention policy a claim is owned by what it goes with: by the StatefulSet where it goes with
that, by its pod where it goes when the StatefulSet is scaled down. A claim with owners that nobody
here made is left alone. Called by ``plan``. Upstream: stateful_pod_control, stateful_set_utils in
pkg/controller/statefulset;
https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#persistentvolumeclaim-retention.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from trireme.api.apps.v1.statefulset_types import (
    StatefulSet,
    StatefulSetPersistentVolumeClaimRetentionPolicy,
)
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.core.v1.pod.pod import Pod
from trireme.controllers.workloads.statefulset import compute_pods
from trireme.domain import owners
from trireme.machinery.meta import OwnerReference

Claims = Mapping[str, PersistentVolumeClaim]
_RETAIN = StatefulSetPersistentVolumeClaimRetentionPolicy(whenDeleted="Retain", whenScaled="Retain")


def policy(stateful_set: StatefulSet) -> StatefulSetPersistentVolumeClaimRetentionPolicy:
    """What happens to claims."""
    return stateful_set.spec.persistentVolumeClaimRetentionPolicy or _RETAIN


def names(stateful_set: StatefulSet, number: int) -> list[str]:
    """The names of the claims of an ordinal's pod."""
    templates = stateful_set.spec.volumeClaimTemplates
    return [compute_pods.claim_name(stateful_set, item.metadata.name, number) for item in templates]


def missing(stateful_set: StatefulSet, number: int, claims: Claims) -> list[PersistentVolumeClaim]:
    """The claims of an ordinal's pod that are not there, as they are to be created."""
    selector = stateful_set.spec.selector
    labels = selector.matchLabels if selector is not None else {}
    owned = policy(stateful_set).whenDeleted == "Delete"
    found = []
    for template in stateful_set.spec.volumeClaimTemplates:
        name = compute_pods.claim_name(stateful_set, template.metadata.name, number)
        if name in claims:
            continue
        metadata = msgspec.structs.replace(
            template.metadata,
            name=name,
            namespace=stateful_set.metadata.namespace,
            labels={**template.metadata.labels, **labels},
            ownerReferences=[owners.reference(stateful_set)] if owned else [],
        )
        found.append(msgspec.structs.replace(template, metadata=metadata))
    return found


def being_deleted(stateful_set: StatefulSet, number: int, claims: Claims) -> list[str]:
    """The names of the claims of an ordinal's pod that are about to go."""
    return [
        name
        for name in names(stateful_set, number)
        if name in claims and claims[name].metadata.deletionTimestamp is not None
    ]


def is_stale(stateful_set: StatefulSet, pod: Pod, claims: Claims) -> bool:
    """Whether a claim goes with an earlier pod of this name: the new pod has to wait for its
    end."""
    if policy(stateful_set).whenScaled == "Retain":
        return False
    number = compute_pods.ordinal(pod)
    there = (claims[name] for name in names(stateful_set, number) if name in claims)
    return any(_has_stale(claim, pod) for claim in there)


def corrected(stateful_set: StatefulSet, pod: Pod, claims: Claims) -> list[PersistentVolumeClaim]:
    """The claims of a pod whose owners are not those of the policy, with those that are."""
    number = compute_pods.ordinal(pod)
    there = [claims[name] for name in names(stateful_set, number) if name in claims]
    found = []
    for claim in there:
        if _is_untouchable(claim, stateful_set, pod):
            continue
        references = _references(claim, stateful_set, pod)
        if _who(references) != _who(claim.metadata.ownerReferences):
            metadata = msgspec.structs.replace(claim.metadata, ownerReferences=references)
            found.append(msgspec.structs.replace(claim, metadata=metadata))
    return found


def has_unexpected_controller(
    claim: PersistentVolumeClaim, stateful_set: StatefulSet, pod: Pod
) -> bool:
    """Whether something else controls a claim that a policy is for."""
    rule = policy(stateful_set)
    if (rule.whenScaled, rule.whenDeleted) == ("Retain", "Retain"):
        return False
    for reference in claim.metadata.ownerReferences:
        for owner in (stateful_set, pod):
            if _names(reference, owner):
                if reference.uid != owner.metadata.uid:
                    return True
                break
        else:
            if reference.controller:
                return True
    return False


def _is_untouchable(claim: PersistentVolumeClaim, stateful_set: StatefulSet, pod: Pod) -> bool:
    if _has_stale(claim, stateful_set) or _has_stale(claim, pod):
        return True
    uids = {reference.uid for reference in claim.metadata.ownerReferences}
    ours = {stateful_set.metadata.uid, pod.metadata.uid}
    return has_unexpected_controller(claim, stateful_set, pod) and not uids & ours


def _references(
    claim: PersistentVolumeClaim, stateful_set: StatefulSet, pod: Pod
) -> list[OwnerReference]:
    others = [
        item
        for item in claim.metadata.ownerReferences
        if not _names(item, stateful_set) and not _names(item, pod)
    ]
    if has_unexpected_controller(claim, stateful_set, pod):
        return others
    rule = policy(stateful_set)
    scaled_down = not compute_pods.in_range(stateful_set, compute_pods.ordinal(pod))
    if rule.whenScaled == "Delete" and scaled_down:
        return [*others, owners.reference(pod)]
    if rule.whenDeleted == "Delete" and not (rule.whenScaled == "Delete" and scaled_down):
        return [*others, owners.reference(stateful_set)]
    return others


def _who(references: list[OwnerReference]) -> set[tuple[str, bool]]:
    return {(item.uid, bool(item.controller)) for item in references}


def _has_stale(claim: PersistentVolumeClaim, owner: Any) -> bool:
    """Whether an owner of this name, but another uid, is among the owners."""
    return any(
        _names(item, owner) and item.uid != owner.metadata.uid
        for item in claim.metadata.ownerReferences
    )


def _names(reference: OwnerReference, owner: Any) -> bool:
    return (reference.apiVersion, reference.kind, reference.name) == (
        owner.apiVersion,
        owner.kind,
        owner.metadata.name,
    )
