"""The objects that a binding writes. Pure.

In: a volume and a claim. Out: each as it is to be, or None where nothing changes. The four writes
of a binding, in this order: the volume's claimRef, its phase, the claim's volumeName, its status;
a controller that is killed between two of them goes on where it was. Called by ``reconcile``.
Upstream: pkg/controller/volume/persistentvolume.
"""

from __future__ import annotations

from msgspec.structs import replace

from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.api.core.v1.persistentvolumeclaim_types import (
    PersistentVolumeClaim,
    PersistentVolumeClaimStatus,
)
from trireme.domain import volumes
from trireme.machinery import quantity
from trireme.machinery.meta import ObjectMeta


def volume_to_claim(
    volume: PersistentVolume, claim: PersistentVolumeClaim
) -> PersistentVolume | None:
    """The volume, for the claim."""
    bound, reference = volumes.is_bound_to(volume, claim), volume.spec.claimRef
    annotate = not bound and volumes.BOUND_BY_CONTROLLER not in volume.metadata.annotations
    refer = not bound or reference is None or reference.uid != claim.metadata.uid
    if not annotate and not refer:
        return None
    changed = volume
    if refer:
        spec = replace(volume.spec, claimRef=volumes.reference_to(claim))
        changed = replace(changed, spec=spec)
    if annotate:
        metadata = _annotated(changed.metadata, volumes.BOUND_BY_CONTROLLER)
        changed = replace(changed, metadata=metadata)
    return changed


def claim_to_volume(
    claim: PersistentVolumeClaim, volume: PersistentVolume
) -> PersistentVolumeClaim | None:
    """The claim, with the volume."""
    changed, name = claim, volume.metadata.name
    if claim.spec.volumeName != name:
        changed = replace(changed, spec=replace(claim.spec, volumeName=name))
        changed = _noted(changed, volumes.BOUND_BY_CONTROLLER)
    changed = _noted(changed, volumes.BIND_COMPLETED)
    return None if changed is claim else changed


def claim_status(
    claim: PersistentVolumeClaim, phase: str, volume: PersistentVolume | None
) -> PersistentVolumeClaimStatus | None:
    """The status of a claim in ``phase``, with what ``volume`` offers. ValueError for a volume
    without a size."""
    status = replace(claim.status, phase=phase)
    if volume is None:
        status = replace(status, accessModes=[], capacity={}, currentVolumeAttributesClassName=None)
    else:
        status = replace(status, accessModes=list(volume.spec.accessModes))
        if claim.status.phase != phase:
            status = replace(status, capacity=_capacity(claim, volume))
        if (claim.status.phase, phase) == ("Pending", "Bound"):
            name = volume.spec.volumeAttributesClassName
            status = replace(status, currentVolumeAttributesClassName=name)
    return None if status == claim.status else status


def _capacity(claim: PersistentVolumeClaim, volume: PersistentVolume) -> dict[str, str]:
    """What is written as the claim's capacity when it enters a phase."""
    there = volume.spec.capacity.get("storage")
    if there is None:
        raise ValueError(f'PersistentVolume "{volume.metadata.name}" is without a storage capacity')
    before = volume.metadata.annotations.get(volumes.PRE_RESIZE_CAPACITY)
    if before is not None:
        try:
            quantity.parse(before)
        except ValueError:
            before = there
        return {**claim.status.capacity, "storage": before}
    known = claim.status.capacity.get("storage")
    if known is not None and quantity.parse(known) == quantity.parse(there):
        return claim.status.capacity
    return dict(volume.spec.capacity)


def unbound(volume: PersistentVolume) -> PersistentVolume:
    """The volume without its claim; the name stays where a user wrote it."""
    reference, annotations = volume.spec.claimRef, dict(volume.metadata.annotations)
    if annotations.pop(volumes.BOUND_BY_CONTROLLER, None) is not None:
        reference = None
    elif reference is not None:
        reference = replace(reference, uid="")
    metadata = replace(volume.metadata, annotations=annotations)
    return replace(volume, metadata=metadata, spec=replace(volume.spec, claimRef=reference))


def with_provisioner(
    claim: PersistentVolumeClaim, provisioner: str
) -> PersistentVolumeClaim | None:
    """The claim, for whoever provisions its volume."""
    annotations = claim.metadata.annotations
    if annotations.get(volumes.PROVISIONER) == provisioner:
        return None
    names = (volumes.BETA_PROVISIONER, volumes.PROVISIONER)
    added = annotations | dict.fromkeys(names, provisioner)
    return replace(claim, metadata=replace(claim.metadata, annotations=added))


def _noted(claim: PersistentVolumeClaim, annotation: str) -> PersistentVolumeClaim:
    if annotation in claim.metadata.annotations:
        return claim
    return replace(claim, metadata=_annotated(claim.metadata, annotation))


def _annotated(metadata: ObjectMeta, annotation: str) -> ObjectMeta:
    return replace(metadata, annotations={**metadata.annotations, annotation: "yes"})
