"""What to do about the ResourceClaims of a pod, and about a claim. Pure.

Called by ``resource_claims``. Upstream: pkg/controller/resourceclaim;
https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import msgspec

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.spec import PodResourceClaim
from trireme.api.resource.v1.claim_status_types import (
    ResourceClaimConsumerReference,
    ResourceClaimStatus,
)
from trireme.api.resource.v1.resourceclaim_types import ResourceClaim
from trireme.api.resource.v1.resourceclaimtemplate import ResourceClaimTemplate
from trireme.controllers.devices import pod_claims
from trireme.domain import owners
from trireme.machinery import meta

FINALIZER = "resource.kubernetes.io/delete-protection"
ANNOTATION = "resource.kubernetes.io/pod-claim-name"
EXTENDED = "resource.kubernetes.io/extended-resource-claim"
# What a generated name may have before its five random characters.
LONGEST_PREFIX = 57

ClaimOf = Callable[[str], ResourceClaim | None]


class PodPlan(msgspec.Struct, frozen=True):
    """``names``: the claim of each item of the pod's ``resourceClaims`` that has one, for its
    status; ``create``: the items whose claim is to be made from its template."""

    names: dict[str, str]
    create: list[PodResourceClaim]


class ClaimPlan(msgspec.Struct, frozen=True):
    """``status``: the one to write, None for none; ``drop_finalizer`` after it; ``delete`` last."""

    status: ResourceClaimStatus | None
    drop_finalizer: bool
    delete: bool


def plan_pod(pod: Pod, claim_of: ClaimOf, owned: Sequence[ResourceClaim]) -> PodPlan:
    """Which claims the pod has, and which it lacks. ``owned``: the claims that it controls: one
    that was made and is not in the pod's status yet is taken, not made again."""
    found: dict[str, str] = {}
    create: list[PodResourceClaim] = []
    for item in pod.spec.resourceClaims:
        if item.resourceClaimTemplateName is None:
            continue
        name = pod_claims.name(pod, item)
        if name == "":
            continue
        claim = claim_of(name) if name is not None else None
        if claim is None or not pod_claims.is_usable(pod, item, claim):
            made = (one for one in owned if one.metadata.annotations.get(ANNOTATION) == item.name)
            claim = next(made, None)
        if claim is None:
            create.append(item)
        else:
            found[item.name] = claim.metadata.name
    return PodPlan(found, create)


def plan_reservations(pod: Pod, claim_of: ClaimOf) -> list[ResourceClaim]:
    """The allocated claims that a pod uses which was bound without the scheduler, as they are to
    be written."""
    if not pod.spec.nodeName:
        return []
    reserved: list[ResourceClaim] = []
    for item in pod.spec.resourceClaims:
        name = pod_claims.name(pod, item)
        claim = claim_of(name) if name else None
        if claim is None or claim.status.allocation is None:
            continue
        if pod_claims.is_reserved(pod, claim) or not pod_claims.is_usable(pod, item, claim):
            continue
        consumer = ResourceClaimConsumerReference(
            resource="pods", name=pod.metadata.name, uid=pod.metadata.uid
        )
        consumers = [*claim.status.reservedFor, consumer]
        reserved.append(_with_status(claim, reservedFor=consumers))
    return reserved


def compute_claim(
    pod: Pod, item: PodResourceClaim, template: ResourceClaimTemplate
) -> ResourceClaim:
    """The claim that is made from a template for an item of the pod."""
    metadata = template.spec.metadata
    reference = msgspec.structs.replace(owners.reference(pod), blockOwnerDeletion=None)
    return ResourceClaim(
        metadata=meta.ObjectMeta(
            generateName=_prefix(pod.metadata.name, item.name),
            namespace=pod.metadata.namespace,
            labels=dict(metadata.labels),
            annotations={**metadata.annotations, ANNOTATION: item.name},
            ownerReferences=[reference],
        ),
        spec=template.spec.spec,
    )


def _prefix(pod: str, item: str) -> str:
    """Both names, each cut in proportion where they are too long together."""
    whole = f"{pod}-{item}-"
    if len(whole) <= LONGEST_PREFIX:
        return whole
    pod_length = len(pod) * LONGEST_PREFIX // len(whole)
    item_length = len(item) * LONGEST_PREFIX // len(whole)
    return f"{pod[:pod_length]}-{item[:item_length]}"


def is_pod(consumer: ResourceClaimConsumerReference) -> bool:
    """Others that a claim is reserved for are never removed: nobody here knows about them."""
    return consumer.apiGroup == "" and consumer.resource == "pods"


def plan_claim(claim: ResourceClaim, gone: Collection[str], owner: Pod | None) -> ClaimPlan:
    """Release the claim from consumers that are ``gone`` (uids), deallocate one that lost its last,
    and delete a generated one that its pod, ``owner``, will not use. None: the pod is not known,
    and the garbage collector sees to it."""
    before = claim.status
    remaining = [item for item in before.reservedFor if item.uid not in gone]
    unused = not remaining
    released = len(remaining) < len(before.reservedFor)
    deleted = claim.metadata.deletionTimestamp is not None
    finalizer = FINALIZER in claim.metadata.finalizers
    # A claim is deallocated when it loses its last consumer, and when it is deleted: its allocation
    # may have been written before its first consumer.
    deallocate = finalizer and unused and (released or deleted)
    allocation = None if deallocate else before.allocation
    status: ResourceClaimStatus | None = None
    if released or allocation is not before.allocation:
        status = _with_status(claim, reservedFor=remaining, allocation=allocation).status
    done = owner is not None and (
        not owners.controls(owner, claim.metadata) or pod_claims.is_done(owner)
    )
    return ClaimPlan(
        status=status,
        drop_finalizer=deallocate,
        delete=unused and done and not deleted,
    )


def owning_pod(claim: ResourceClaim) -> str:
    """The name of the pod that the claim was made for, "" for one that a user made."""
    owner = owners.controller_of(claim.metadata)
    is_pods = owner is not None and owner.apiVersion == "v1" and owner.kind == "Pod"
    return owner.name if owner is not None and is_pods else ""


def has_admin_access(claim: ResourceClaim) -> bool:
    """Whether it asks for devices with administrative access."""
    return any(
        request.exactly is not None and bool(request.exactly.adminAccess)
        for request in claim.spec.devices.requests or ()
    )


def source_of(claim: ResourceClaim) -> str:
    """What it was made from, as metrics name it."""
    annotations = claim.metadata.annotations
    if annotations.get(EXTENDED) == "true":
        return "extended_resource"
    return "resource_claim_template" if annotations.get(ANNOTATION) else ""


def _with_status(claim: ResourceClaim, **fields: object) -> ResourceClaim:
    status = msgspec.structs.replace(claim.status, **fields)
    return msgspec.structs.replace(claim, status=status)
