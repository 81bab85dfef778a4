"""Which volume a claim gets: classes, modes, sizes, and who is bound to whom. Pure.

In: PersistentVolumes, PersistentVolumeClaims, StorageClasses. Out: facts about them. Used by the
volume binder, the scheduler and quotas. Upstream: component-helpers ``storage/volume``;
https://kubernetes.io/docs/concepts/storage/persistent-volumes/.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.core.v1.references import ObjectReference
from trireme.machinery import labels, quantity
from trireme.machinery.labels import Selector
from trireme.machinery.quantity import Quantity

BIND_COMPLETED: Final = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER: Final = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY: Final = "pv.kubernetes.io/provisioned-by"
PROVISIONER: Final = "volume.kubernetes.io/storage-provisioner"
BETA_PROVISIONER: Final = "volume.beta.kubernetes.io/storage-provisioner"
SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
PRE_RESIZE_CAPACITY: Final = "volume.alpha.kubernetes.io/pre-resize-capacity"
CLASS_ANNOTATION: Final = "volume.beta.kubernetes.io/storage-class"
PVC_PROTECTION: Final = "kubernetes.io/pvc-protection"
PV_PROTECTION: Final = "kubernetes.io/pv-protection"
VAC_PROTECTION: Final = "kubernetes.io/vac-protection"
FIRST_CONSUMER: Final = "WaitForFirstConsumer"


def class_of(obj: PersistentVolumeClaim | PersistentVolume) -> str:
    """The name of a claim's or volume's storage class, "" for none; the annotation from before the
    field wins."""
    if CLASS_ANNOTATION in obj.metadata.annotations:
        return obj.metadata.annotations[CLASS_ANNOTATION]
    return obj.spec.storageClassName or ""


def has_class(claim: PersistentVolumeClaim) -> bool:
    """Whether the claim says anything of a class, be it that it wants none."""
    return CLASS_ANNOTATION in claim.metadata.annotations or claim.spec.storageClassName is not None


def mode_of(obj: PersistentVolumeClaim | PersistentVolume) -> str:
    """Filesystem or Block."""
    return obj.spec.volumeMode or "Filesystem"


def is_bound_to(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Whether the volume is for the claim, and for no other of the same name."""
    reference = volume.spec.claimRef
    meta = claim.metadata
    return (
        reference is not None
        and (reference.namespace, reference.name) == (meta.namespace, meta.name)
        and reference.uid in ("", meta.uid)
    )


def reference_to(claim: PersistentVolumeClaim) -> ObjectReference:
    """How a volume names its claim."""
    meta = claim.metadata
    return ObjectReference(
        kind="PersistentVolumeClaim",
        apiVersion="v1",
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        resourceVersion=meta.resourceVersion,
    )


def capacity(volume: PersistentVolume) -> Quantity:
    """The size of a volume."""
    return quantity.parse(volume.spec.capacity.get("storage", "0"))


def request(claim: PersistentVolumeClaim) -> Quantity:
    """The size that a claim asks for."""
    return quantity.parse(claim.spec.resources.requests.get("storage", "0"))


def problem(volume: PersistentVolume, claim: PersistentVolumeClaim) -> str:
    """Why a volume that the claim names does not do for it, in upstream's words; or ""."""
    if volume.metadata.deletionTimestamp is not None:
        return f'the volume is marked for deletion "{volume.metadata.name}"'
    if capacity(volume).value() < request(claim).value():
        return "requested PV is too small"
    if class_of(volume) != class_of(claim):
        return "storageClassName does not match"
    if _attributes(volume) != _attributes(claim):
        return "volumeAttributesClassName does not match"
    if mode_of(volume) != mode_of(claim):
        return "incompatible volumeMode"
    if not {*claim.spec.accessModes} <= {*volume.spec.accessModes}:
        return "incompatible accessMode"
    return ""


def best_match(
    claim: PersistentVolumeClaim, volumes: Iterable[PersistentVolume], *, delayed: bool
) -> PersistentVolume | None:
    """The volume that the claim is bound to: one that is meant for it, or the smallest that does;
    those with fewer access modes first. ``delayed``: only one that is meant for it, as the
    scheduler chooses among the others. ValueError for a selector that is none."""
    selector = selector_of(claim)
    found = [
        (len(volume.spec.accessModes), not meant, capacity(volume).nanos, volume.metadata.name)
        for volume in volumes
        for meant in [is_bound_to(volume, claim)]
        if may_hold(volume, claim)
        and {*claim.spec.accessModes} <= {*volume.spec.accessModes}
        and (meant or (not delayed and is_available(volume, claim, selector)))
    ]
    if not found:
        return None
    name = min(found)[-1]
    return next(volume for volume in volumes if volume.metadata.name == name)


def selector_of(claim: PersistentVolumeClaim) -> Selector | None:
    """The claim's label selector. ValueError."""
    return None if claim.spec.selector is None else labels.from_struct(claim.spec.selector)


def may_hold(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Whether a volume is of the right sort and size, and is not somebody else's."""
    return (
        (volume.spec.claimRef is None or is_bound_to(volume, claim))
        and capacity(volume) >= request(claim)
        and mode_of(volume) == mode_of(claim)
        and _attributes(volume) == _attributes(claim)
        and volume.metadata.deletionTimestamp is None
    )


def is_available(
    volume: PersistentVolume, claim: PersistentVolumeClaim, selector: Selector | None
) -> bool:
    """Whether a volume that nobody has may be given to the claim."""
    return (
        volume.status.phase == "Available"
        and (selector is None or selector.matches(volume.metadata.labels))
        and class_of(volume) == class_of(claim)
    )


def _attributes(obj: PersistentVolumeClaim | PersistentVolume) -> str:
    return obj.spec.volumeAttributesClassName or ""


def attribute_classes(claim: PersistentVolumeClaim) -> set[str]:
    """The VolumeAttributesClasses that a claim asks for, has, or is changing to."""
    modified = claim.status.modifyVolumeStatus
    found = {
        claim.spec.volumeAttributesClassName or "",
        claim.status.currentVolumeAttributesClassName or "",
        modified.targetVolumeAttributesClassName if modified is not None else "",
    }
    return found - {""}


def is_for_one_pod(volume: PersistentVolume) -> bool:
    """Whether ReadWriteOncePod is the volume's only access mode."""
    return volume.spec.accessModes == ["ReadWriteOncePod"]


def attachment_name(volume: PersistentVolume, node: str) -> str:
    """The name of the VolumeAttachment of a CSI driver's volume at a node."""
    source = volume.spec.csi
    assert source is not None
    text = f"{source.volumeHandle}{source.driver}{node}"
    return f"csi-{hashlib.sha256(text.encode()).hexdigest()}"


def unique_name(volume: PersistentVolume) -> str:
    """How nodes name a CSI driver's volume in ``volumesAttached`` and ``volumesInUse``."""
    source = volume.spec.csi
    assert source is not None
    return unique_csi_name(source.driver, source.volumeHandle)


def unique_csi_name(driver: str, handle: str) -> str:
    """``unique_name`` of a volume of which only this is known."""
    return f"kubernetes.io/csi/{driver}^{handle}"
