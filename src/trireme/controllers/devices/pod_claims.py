"""The ResourceClaims that a pod names, and what of them is the pod's. Pure; for controllers.

Upstream: dynamic-resource-allocation ``resourceclaim``;
https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/.
"""

from __future__ import annotations

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.spec import PodResourceClaim
from trireme.api.resource.v1.claim_types import DeviceToleration
from trireme.api.resource.v1.resourceclaim_types import ResourceClaim
from trireme.api.resource.v1.slice_types import DeviceTaint
from trireme.domain import owners, pods


def name(pod: Pod, item: PodResourceClaim) -> str | None:
    """The name of the ResourceClaim: None before it is made from its template, "" where none is
    needed."""
    if item.resourceClaimName is not None:
        return item.resourceClaimName
    for status in pod.status.resourceClaimStatuses:
        if status.name == item.name:
            return status.resourceClaimName or ""
    return None


def is_usable(pod: Pod, item: PodResourceClaim, claim: ResourceClaim) -> bool:
    """Whether the claim is meant: one that was made from a template belongs to its pod only."""
    return item.resourceClaimTemplateName is None or owners.controls(pod, claim.metadata)


def is_reserved(pod: Pod, claim: ResourceClaim) -> bool:
    """Whether the pod is among those that may use the claim."""
    return any(item.uid == pod.metadata.uid for item in claim.status.reservedFor)


def is_done(pod: Pod) -> bool:
    """Whether it is certain that no container of the pod runs or will."""
    deleted = pod.metadata.deletionTimestamp is not None
    return pods.is_finished(pod) or (deleted and not pod.spec.nodeName)


def tolerates(toleration: DeviceToleration, taint: DeviceTaint) -> bool:
    """Whether the toleration is for the taint. An empty key or effect is for all of them."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator in ("", "Equal"):
        return toleration.value == taint.value
    return toleration.operator == "Exists"
