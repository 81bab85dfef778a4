"""Rules of persistent volumes, and of the specs of volumes that stand inline elsewhere.

In: typed objects. Out: field errors in upstream's order. Called by ``persistentvolume`` and by
volume attachments. Upstream: pkg/apis/core/validation, pkg/volume/validation;
https://kubernetes.io/docs/concepts/storage/persistent-volumes/.
"""

from __future__ import annotations

import posixpath
from typing import Final

from msgspec.structs import replace

from trireme.api import difference, rules
from trireme.api.core.v1 import persistentvolume_sources as sources
from trireme.api.core.v1.persistentvolume_types import PersistentVolume, PersistentVolumeSpec
from trireme.api.core.v1.pod.rules import placement
from trireme.api.rules import Errors
from trireme.machinery import field, names, quantity
from trireme.machinery.field import Path

_SPEC: Final = field.path("spec")
_ACCESS_MODES: Final = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_INLINE: Final = "may not be specified in the context of inline volumes"
_MOUNT_OPTIONS: Final = "volume.beta.kubernetes.io/mount-options"
# Kinds of volume that take mount options.
_MOUNTABLE: Final = (
    "gcePersistentDisk", "awsElasticBlockStore", "glusterfs", "nfs", "rbd", "quobyte", "iscsi",
    "cinder", "cephfs", "azureFile", "vsphereVolume", "azureDisk", "photonPersistentDisk",
)  # fmt: skip


def validate(new: PersistentVolume) -> Errors:
    """A new volume."""
    errs: Errors = []
    _spec(errs, _SPEC, new.spec, new.metadata.name)
    if _MOUNT_OPTIONS in new.metadata.annotations and not _mountable(new.spec):
        where = field.path("metadata", "annotations", _MOUNT_OPTIONS)
        errs.append(field.forbidden(where, "may not specify mount options for this volume type"))
    return errs


def validate_update(new: PersistentVolume, old: PersistentVolume) -> Errors:
    """The source and the mode stay."""
    errs = validate(new)
    spec, was = new.spec, old.spec
    csi = spec.csi
    if csi is not None and was.csi is not None and was.csi.controllerExpandSecretRef is None:
        spec = replace(spec, csi=replace(csi, controllerExpandSecretRef=None))
    if any(getattr(spec, name) != getattr(was, name) for name in sources.SOURCES):
        changes = difference.text(was, spec, sources.SOURCES)
        detail = f"spec.persistentvolumesource is immutable after creation\n{changes}"
        errs.append(field.forbidden(_SPEC.child("persistentvolumesource"), detail))
    rules.unchanged(errs, field.path(), "volumeMode", spec.volumeMode, was.volumeMode)
    if was.nodeAffinity is not None and spec.nodeAffinity != was.nodeAffinity:
        detail = f"{rules.IMMUTABLE}, except for updating from beta label to GA"
        errs.append(field.invalid(field.path("nodeAffinity"), spec.nodeAffinity, detail))
    if was.volumeAttributesClassName is not None and spec.volumeAttributesClassName is None:
        detail = "update from non-nil value to nil is forbidden"
        errs.append(field.forbidden(_SPEC.child("volumeAttributesClassName"), detail))
    return errs


def inline(errs: Errors, at: Path, spec: PersistentVolumeSpec) -> None:
    """A volume that is no object of its own: only CSI, and no binding."""
    if spec.claimRef is not None:
        errs.append(field.forbidden(at.child("claimRef"), _INLINE))
    if spec.capacity:
        errs.append(field.forbidden(at.child("capacity"), _INLINE))
    if spec.csi is None:
        detail = "has to be specified in the context of inline volumes"
        errs.append(field.required(at.child("csi"), detail))
    _access_modes(errs, at, spec.accessModes)
    if spec.persistentVolumeReclaimPolicy not in ("", "Retain"):
        detail = "may only be Retain in the context of inline volumes"
        errs.append(field.forbidden(at.child("persistentVolumeReclaimPolicy"), detail))
    if spec.nodeAffinity is not None:
        errs.append(field.forbidden(at.child("nodeAffinity"), _INLINE))
    _sources(errs, at, spec, "")
    if spec.storageClassName:
        errs.append(field.forbidden(at.child("storageClassName"), _INLINE))
    if spec.volumeMode not in (None, "Filesystem"):
        detail = "may not specify volumeMode other than Filesystem in the context of inline volumes"
        errs.append(field.forbidden(at.child("volumeMode"), detail))


def _spec(errs: Errors, at: Path, spec: PersistentVolumeSpec, name: str) -> None:
    _access_modes(errs, at, spec.accessModes)
    _capacity(errs, at.child("capacity"), spec.capacity)
    rules.declared(errs, at, spec, "persistentVolumeReclaimPolicy")
    if spec.nodeAffinity is not None:
        here = at.child("nodeAffinity", "required")
        if spec.nodeAffinity.required is None:
            errs.append(field.required(here, "must specify required node constraints"))
        else:
            placement.node_selector(errs, here, spec.nodeAffinity.required)
    _sources(errs, at, spec, name)
    root = spec.hostPath is not None and posixpath.normpath(spec.hostPath.path or ".") == "/"
    if root and spec.persistentVolumeReclaimPolicy == "Recycle":
        detail = "may not be 'recycle' for a hostPath mount of '/'"
        errs.append(field.forbidden(at.child("persistentVolumeReclaimPolicy"), detail))
    if spec.storageClassName:
        rules.syntax(
            errs, at, "storageClassName", spec.storageClassName, names.is_dns1123_subdomain
        )
    rules.declared(errs, at, spec, "volumeMode")
    _attributes_class(errs, at, spec)


def _access_modes(errs: Errors, at: Path, modes: list[str]) -> None:
    where = at.child("accessModes")
    if not modes:
        errs.append(field.required(where))
    for mode in modes:
        rules.one_of(errs, at, "accessModes", mode, _ACCESS_MODES)
    known = {mode for mode in modes if mode in _ACCESS_MODES}
    if "ReadWriteOncePod" in known and len(known) > 1:
        detail = "may not use ReadWriteOncePod with other access modes"
        errs.append(field.forbidden(where, detail))


def _capacity(errs: Errors, at: Path, capacity: dict[str, str]) -> None:
    if not capacity:
        errs.append(field.required(at))
    if set(capacity) != {"storage"}:
        errs.append(field.not_supported(at, capacity or None, ("storage",)))
    for name, text in capacity.items():
        value = quantity.parse(text)
        if value.value() < 0:
            detail = "must be a valid resource quantity"
            errs.append(field.invalid(at.key(name), value.value(), detail))
        if value.nanos <= 0:
            errs.append(field.invalid(at.key(name), text, rules.POSITIVE))


def _sources(errs: Errors, at: Path, spec: PersistentVolumeSpec, name: str) -> None:
    count = 0
    for source_name, (check, field_name) in sources.SOURCES.items():
        source = getattr(spec, source_name)
        if source is None:
            continue
        # Upstream does not report a second source here.
        if count and source_name != "flexVolume":
            where = "cephFS" if source_name == "cephfs" else source_name
            detail = "may not specify more than 1 volume type"
            errs.append(field.forbidden(at.child(where), detail))
            continue
        count += 1
        check(errs, at.child(field_name or source_name), source)
        if source_name == "iscsi" and spec.iscsi is not None:
            sources.iscsi_name(errs, at.child("iscsi"), name, spec.iscsi)
        if source_name == "local" and spec.nodeAffinity is None:
            detail = "Local volume requires node affinity"
            errs.append(field.required(at.child("nodeAffinity"), detail))
    if not count:
        errs.append(field.required(at, "must specify a volume type"))


def _attributes_class(errs: Errors, at: Path, spec: PersistentVolumeSpec) -> None:
    name, where = spec.volumeAttributesClassName, at.child("volumeAttributesClassName")
    if name is None:
        return
    if not name:
        errs.append(field.required(where, "an empty string is disallowed"))
    else:
        rules.add(errs, where, name, names.is_dns1123_subdomain(name))
    if spec.csi is None:
        detail = "has to be specified when using volumeAttributesClassName"
        errs.append(field.required(at.child("csi"), detail))


def _mountable(spec: PersistentVolumeSpec) -> bool:
    return any(getattr(spec, name) is not None for name in _MOUNTABLE)
