"""PersistentVolumeClaim: preparation, rules and columns; the types are in its neighbour."""

from __future__ import annotations

from msgspec.structs import replace

from trireme.api import columns, difference, quantities, rules
from trireme.api.core.v1 import claim_rules, resource_names
from trireme.api.core.v1.persistentvolume import CLASS_ANNOTATION, access_modes
from trireme.api.core.v1.persistentvolumeclaim_types import (
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
)
from trireme.api.core.v1.references import TypedLocalObjectReference, TypedObjectReference
from trireme.api.rules import Errors
from trireme.machinery import field, names, quantity
from trireme.machinery.field import Path
from trireme.machinery.resource import Column, Resource, status

_SPEC = field.path("spec")
_SNAPSHOT = ("snapshot.storage.k8s.io", "VolumeSnapshot")
_RESIZES = (
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
)


def prepare_create(new: PersistentVolumeClaim) -> None:
    """A new claim is Pending; dataSource and dataSourceRef are made equal (KEP-1495)."""
    new.status.phase = "Pending"
    _sync_data_sources(new.spec, None)


def prepare_update(new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> None:
    """As on create, unless the old claim has what it would drop."""
    _sync_data_sources(new.spec, old.spec)
    _one_source(old.spec)


def _sync_data_sources(
    spec: PersistentVolumeClaimSpec, old: PersistentVolumeClaimSpec | None
) -> None:
    reference, source = spec.dataSourceRef, spec.dataSource
    known = old is not None and (old.dataSource is not None or old.dataSourceRef is not None)
    if reference is not None and reference.namespace and (old is None or not old.dataSourceRef):
        spec.dataSourceRef = reference = None
    if not known and reference is None and source is not None:
        claim = not source.apiGroup and source.kind == "PersistentVolumeClaim"
        if not claim and (source.apiGroup, source.kind) != _SNAPSHOT:
            spec.dataSource = None
    _one_source(spec)


def _one_source(spec: PersistentVolumeClaimSpec) -> None:
    source, reference = spec.dataSource, spec.dataSourceRef
    if source is not None and reference is None:
        spec.dataSourceRef = TypedObjectReference(
            apiGroup=source.apiGroup, kind=source.kind, name=source.name
        )
    elif reference is not None and source is None and not reference.namespace:
        spec.dataSource = TypedLocalObjectReference(
            apiGroup=reference.apiGroup, kind=reference.kind, name=reference.name
        )


def warnings(new: PersistentVolumeClaim, _old: PersistentVolumeClaim | None) -> list[str]:
    """The class annotation, and fractions of a byte."""
    found = []
    if CLASS_ANNOTATION in new.metadata.annotations:
        found.append(
            f"metadata.annotations[{CLASS_ANNOTATION}]: deprecated since v1.8; use "
            '"storageClassName" attribute instead'
        )
    return found + spec_warnings(_SPEC, new.spec)


def spec_warnings(at: Path, spec: PersistentVolumeClaimSpec) -> list[str]:
    """Sizes that are no whole bytes."""
    requested, where = spec.resources, at.child("resources")
    return [
        *quantities.byte_warnings(where.child("requests"), requested.requests, "storage"),
        *quantities.byte_warnings(where.child("limits"), requested.limits, "storage"),
    ]


def validate(new: PersistentVolumeClaim) -> Errors:
    """The spec."""
    errs: Errors = []
    claim_rules.spec(errs, _SPEC, new.spec)
    return errs


def validate_update(new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> Errors:
    """Of a bound claim, the size may grow and the attributes may change."""
    errs = validate(new)
    spec, was = new.spec, old.spec
    before = replace(was, volumeName=was.volumeName or spec.volumeName)
    # With all mutable fields reset: what still differs is immutable.
    allowed = spec
    if _sets_class(new, old):
        allowed = replace(allowed, storageClassName=None)
    else:
        _class_annotation(errs, new, old)
    if new.status.phase == "Bound":
        requests = {**spec.resources.requests}
        if "storage" in requests and "storage" in was.resources.requests:
            requests["storage"] = was.resources.requests["storage"]
        allowed = replace(
            allowed,
            resources=replace(spec.resources, requests=requests),
            volumeAttributesClassName=was.volumeAttributesClassName,
        )
    if allowed != before:
        detail = (
            "spec is immutable after creation except resources.requests and "
            f"volumeAttributesClassName for bound claims\n{difference.text(before, allowed)}"
        )
        errs.append(field.forbidden(_SPEC, detail))
    _size(errs, new, old)
    rules.unchanged(errs, field.path(), "volumeMode", spec.volumeMode, was.volumeMode)
    _attributes(errs, new, old)
    return errs


def _sets_class(new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> bool:
    """Whether the class is set for the first time, or was only an annotation."""
    name, before = new.spec.storageClassName, old.metadata.annotations.get(CLASS_ANNOTATION)
    if name is None or old.spec.storageClassName is not None:
        return False
    return before is None or name == before


def _class_annotation(errs: Errors, new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> None:
    text = new.metadata.annotations.get(CLASS_ANNOTATION, "")
    if text != old.metadata.annotations.get(CLASS_ANNOTATION, ""):
        where = field.path("metadata", "annotations").key(CLASS_ANNOTATION)
        errs.append(field.invalid(where, text, rules.IMMUTABLE))


def _size(errs: Errors, new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> None:
    def read(resources: dict[str, str]) -> quantity.Quantity:
        return quantity.parse(resources.get("storage", "0"))

    size = read(new.spec.resources.requests)
    if size < read(old.spec.resources.requests) and size <= read(old.status.capacity):
        where = _SPEC.child("resources", "requests", "storage")
        errs.append(field.forbidden(where, "field can not be less than status.capacity"))


def _attributes(errs: Errors, new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> None:
    name = new.spec.volumeAttributesClassName
    if name == old.spec.volumeAttributesClassName or name:
        return
    if old.status.currentVolumeAttributesClassName is not None:
        what = "nil" if name is None else "empty string"
        detail = (
            f"update to {what} is forbidden when status.currentVolumeAttributesClassName is not nil"
        )
        errs.append(field.forbidden(_SPEC.child("volumeAttributesClassName"), detail))


def validate_status(new: PersistentVolumeClaim, _old: PersistentVolumeClaim) -> Errors:
    """Quantities, and how far a resize has come."""
    errs: Errors = []
    at, status = field.path("status"), new.status
    if not new.spec.accessModes:
        errs.append(field.required(field.path("Spec", "accessModes")))
    for name, text in status.capacity.items():
        _quantity(errs, at.child("capacity").key(name), text)
    here = at.child("allocatedResourceStatuses")
    for name, state in status.allocatedResourceStatuses.items():
        _resource_key(errs, here, name)
        if state not in _RESIZES:
            errs.append(field.not_supported(here, name, sorted(_RESIZES)))
    here = at.child("allocatedResources")
    for name, text in status.allocatedResources.items():
        if _resource_key(errs, here, name):
            _quantity(errs, here.key(name), text)
    return errs


def _quantity(errs: Errors, at: Path, text: str) -> None:
    value = quantity.parse(text).value()
    if value < 0:
        errs.append(field.invalid(at, value, "must be a valid resource quantity"))


def _resource_key(errs: Errors, at: Path, name: str) -> bool:
    messages = names.is_qualified_name(name)
    rules.add(errs, at, name, messages)
    if messages:
        return False
    if resource_names.is_native(name) and name != "storage":
        errs.append(field.not_supported(at, name, ("storage",)))
        return False
    return True


RESOURCE = Resource(
    type=PersistentVolumeClaim,
    plural="persistentvolumeclaims",
    short_names=("pvc",),
    subresources=(status(),),
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    warnings=warnings,
    validate=validate,
    validate_update=validate_update,
    validate_status=validate_status,
    returns_deleted=True,
    columns=(
        columns.NAME,
        Column(
            "Status",
            lambda obj: (
                "Terminating" if obj.metadata.deletionTimestamp is not None else obj.status.phase
            ),
            "Whether it is bound.",
        ),
        Column("Volume", "spec.volumeName", "The volume that it has."),
        Column(
            "Capacity",
            lambda obj: obj.status.capacity.get("storage", "0") if obj.spec.volumeName else "",
            "How much the volume holds.",
        ),
        Column(
            "Access Modes",
            lambda obj: access_modes(obj.status.accessModes) if obj.spec.volumeName else "",
            "Who may mount the volume, and how.",
        ),
        Column(
            "StorageClass",
            lambda obj: obj.metadata.annotations.get(
                CLASS_ANNOTATION, obj.spec.storageClassName or ""
            ),
            "The class that is asked for.",
        ),
        Column(
            "VolumeAttributesClass",
            "spec.volumeAttributesClassName",
            "The class of the volume's attributes.",
            unset=columns.UNSET,
        ),
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
