"""PersistentVolume: preparation, warnings and columns; types and rules are in
``persistentvolume_types`` and ``_rules``."""

from __future__ import annotations

from trireme.api import columns
from trireme.api.core.v1 import node_labels, volume_warnings
from trireme.api.core.v1 import persistentvolume_rules as checks
from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.machinery import field
from trireme.machinery.resource import Column, Resource, status

_SPEC = field.path("spec")
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
_DEPRECATED = {
    CLASS_ANNOTATION: 'deprecated since v1.8; use "storageClassName" attribute instead',
    "volume.beta.kubernetes.io/mount-options": (
        'deprecated since v1.31; use "mountOptions" attribute instead'
    ),
}
_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def defaults(obj: PersistentVolume) -> None:
    """Retain, and volume mode Filesystem."""
    obj.spec.persistentVolumeReclaimPolicy = obj.spec.persistentVolumeReclaimPolicy or "Retain"
    if obj.spec.volumeMode is None:
        obj.spec.volumeMode = "Filesystem"


def prepare_create(new: PersistentVolume) -> None:
    """A new volume is Pending."""
    new.status.phase = "Pending"
    new.status.lastPhaseTransitionTime = new.metadata.creationTimestamp


def warnings(new: PersistentVolume, _old: PersistentVolume | None) -> list[str]:
    """Deprecated fields, and those without effect."""
    found = [
        f"metadata.annotations[{key}]: {detail}"
        for key, detail in _DEPRECATED.items()
        if key in new.metadata.annotations
    ]
    if new.spec.persistentVolumeReclaimPolicy == "Recycle":
        found.append(
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. "
            "Instead, the recommended approach is to use dynamic provisioning."
        )
    affinity = new.spec.nodeAffinity
    if affinity is not None and affinity.required is not None:
        where = _SPEC.child("nodeAffinity", "required", "nodeSelectorTerms")
        for position, term in enumerate(affinity.required.nodeSelectorTerms):
            found += node_labels.term_warnings(where.index(position), term, check_values=False)
    return found + volume_warnings.persistent(_SPEC, new.spec)


def access_modes(modes: list[str]) -> str:
    """The Access Modes cell."""
    return ",".join(short for mode, short in _MODES.items() if mode in modes)


RESOURCE = Resource(
    type=PersistentVolume,
    plural="persistentvolumes",
    namespaced=False,
    short_names=("pv",),
    subresources=(status(),),
    defaults=defaults,
    prepare_create=prepare_create,
    warnings=warnings,
    validate=checks.validate,
    validate_update=checks.validate_update,
    returns_deleted=True,
    columns=(
        columns.NAME,
        Column("Capacity", lambda obj: obj.spec.capacity.get("storage", "0"), "How much it holds."),
        Column(
            "Access Modes",
            lambda obj: access_modes(obj.spec.accessModes),
            "Who may mount it, and how.",
        ),
        Column(
            "Reclaim Policy",
            "spec.persistentVolumeReclaimPolicy",
            "What becomes of it when its claim is gone.",
        ),
        Column(
            "Status",
            lambda obj: (
                "Terminating" if obj.metadata.deletionTimestamp is not None else obj.status.phase
            ),
            "Whether it is bound.",
        ),
        Column(
            "Claim",
            lambda obj: (
                ""
                if obj.spec.claimRef is None
                else f"{obj.spec.claimRef.namespace}/{obj.spec.claimRef.name}"
            ),
            "The claim that has it.",
        ),
        Column(
            "StorageClass",
            lambda obj: obj.metadata.annotations.get(CLASS_ANNOTATION, obj.spec.storageClassName),
            "The class that it is of.",
        ),
        Column(
            "VolumeAttributesClass",
            "spec.volumeAttributesClassName",
            "The class of its attributes.",
            unset=columns.UNSET,
        ),
        Column("Reason", "status.reason", "Why it is in this state."),
        columns.AGE,
        Column(
            "VolumeMode",
            "spec.volumeMode",
            "A file system or a block device.",
            unset=columns.UNSET,
            priority=1,
        ),
    ),
    selectable={"name": lambda obj: str(obj.metadata.name)},
)
