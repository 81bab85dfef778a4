"""Rules of metadata that every kind shares: on create and on update. Pure.

In: the kind, the new metadata and, on update, the stored one. Out: field errors. Called by the API
server's registry before the kind's own rules. Upstream: apimachinery ``api/validation/objectmeta``;
https://kubernetes.io/docs/concepts/overview/working-with-objects/names/.
"""

from __future__ import annotations

from trireme.machinery import field, gotext, names
from trireme.machinery.field import FieldError, Path
from trireme.machinery.meta import ObjectMeta
from trireme.machinery.resource import Resource

ANNOTATIONS_LIMIT = 256 * 1024
# Finalizers without a slash that built-in kinds may carry.
SHORT_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
_META = field.path("metadata")


def validate_create(resource: Resource, meta: ObjectMeta) -> list[FieldError]:
    """Errors in the metadata of an object that is about to be created."""
    problems: list[FieldError] = []
    if meta.generateName:
        masked = names.mask_trailing_dash(meta.generateName)
        for message in resource.name_errors(masked):
            problems.append(field.invalid(_META.child("generateName"), meta.generateName, message))
    if not meta.name:
        problems.append(field.required(_META.child("name"), "name or generateName is required"))
    else:
        at = _META.child("name")
        messages = resource.name_errors(meta.name)
        problems += [field.invalid(at, meta.name, message) for message in messages]
        if not messages:
            problems += [
                field.invalid(at, meta.name, message)
                for message in names.is_path_segment(meta.name)
            ]
    if resource.namespaced:
        at = _META.child("namespace")
        if not meta.namespace:
            problems.append(field.required(at))
        else:
            problems += [
                field.invalid(at, meta.namespace, message)
                for message in names.is_dns1123_label(meta.namespace)
            ]
    elif meta.namespace:
        problems.append(field.forbidden(_META.child("namespace"), "not allowed on this type"))
    if meta.generation < 0:
        problems.append(
            field.invalid(
                _META.child("generation"), meta.generation, "must be greater than or equal to 0"
            )
        )
    return problems + _common(meta)


def validate_update(resource: Resource, new: ObjectMeta, old: ObjectMeta) -> list[FieldError]:
    """Errors in the metadata of an update, against what is stored."""
    problems: list[FieldError] = []
    if new.generation < old.generation:
        problems.append(
            field.invalid(_META.child("generation"), new.generation, "must not be decremented")
        )
    for attribute in ("name", "namespace", "uid"):
        was, now = getattr(old, attribute), getattr(new, attribute)
        if was != now:
            problems.append(field.invalid(_META.child(attribute), now, "field is immutable"))
    if old.deletionTimestamp is not None:
        added = [item for item in new.finalizers if item not in old.finalizers]
        if added:
            problems.append(
                field.forbidden(
                    _META.child("finalizers"),
                    "no new finalizers can be added if the object is being deleted, "
                    f"found new finalizers {gotext.value(added)}",
                )
            )
    unchanged = (
        new.labels == old.labels
        and new.annotations == old.annotations
        and new.ownerReferences == old.ownerReferences
        and new.finalizers == old.finalizers
    )
    return problems if unchanged else problems + _common(new)


def _common(meta: ObjectMeta) -> list[FieldError]:
    problems: list[FieldError] = []
    if meta.labels:
        problems += labels(meta.labels, _META.child("labels"))
    if meta.annotations:
        problems += annotations(meta.annotations, _META.child("annotations"))
    if meta.ownerReferences:
        problems += _owners(meta)
    if meta.finalizers:
        problems += _finalizers(meta)
    return problems


def labels(values: dict[str, str], at: Path) -> list[FieldError]:
    """Errors in labels: keys are qualified names, values are short."""
    problems: list[FieldError] = []
    for key, value in values.items():
        problems += [field.invalid(at, key, message) for message in names.is_qualified_name(key)]
        problems += [field.invalid(at, value, message) for message in names.is_label_value(value)]
    return problems


def annotations(values: dict[str, str], at: Path) -> list[FieldError]:
    """Errors in annotations: keys are qualified names in any case, the sum of all is bounded."""
    problems: list[FieldError] = []
    total = 0
    for key, value in values.items():
        problems += [
            field.invalid(at, key, message) for message in names.is_qualified_name(key.lower())
        ]
        total += len(key.encode()) + len(value.encode())
    if total > ANNOTATIONS_LIMIT:
        problems.append(field.too_long(at, ANNOTATIONS_LIMIT))
    return problems


def _owners(meta: ObjectMeta) -> list[FieldError]:
    problems: list[FieldError] = []
    at = _META.child("ownerReferences")
    controllers: list[str] = []
    for position, owner in enumerate(meta.ownerReferences):
        here = at.index(position)
        if not owner.apiVersion.rpartition("/")[2]:
            problems.append(
                field.invalid(
                    here.child("apiVersion"), owner.apiVersion, "version must not be empty"
                )
            )
        for attribute in ("kind", "name", "uid"):
            if not getattr(owner, attribute):
                problems.append(
                    field.invalid(here.child(attribute), "", f"{attribute} must not be empty")
                )
        if owner.apiVersion == "v1" and owner.kind == "Event":
            problems.append(
                field.invalid(
                    here, owner.apiVersion, "/v1, Kind=Event is disallowed from being an owner"
                )
            )
        if owner.controller:
            controllers.append(owner.name)
    if len(controllers) > 1:
        problems.append(
            field.invalid(
                at,
                [owner.name for owner in meta.ownerReferences],
                "Only one reference can have Controller set to true. "
                f'Found "true" in references for {controllers[0]} and {controllers[1]}',
            )
        )
    return problems


def _finalizers(meta: ObjectMeta) -> list[FieldError]:
    problems: list[FieldError] = []
    at = _META.child("finalizers")
    for position, item in enumerate(meta.finalizers):
        here = at.index(position)
        messages = names.is_qualified_name(item)
        problems += [field.invalid(at, item, message) for message in messages]
        if not messages and "/" not in item and item not in SHORT_FINALIZERS:
            problems.append(
                field.invalid(
                    here,
                    item,
                    "name is neither a standard finalizer name nor is it fully qualified",
                )
            )
    if "orphan" in meta.finalizers and "foregroundDeletion" in meta.finalizers:
        problems.append(
            field.invalid(
                at,
                meta.finalizers,
                "finalizer orphan and foregroundDeletion cannot be both set",
            )
        )
    return problems
