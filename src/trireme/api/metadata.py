"""Rules of metadata that every kind shares: on create and on update. Pure.

In: the kind, the new metadata and, on update, the stored one. Out: field errors. Called by the API
server's registry before the kind's own rules. Upstream: apimachinery ``api/validation/objectmeta``;
https://kubernetes.io/docs/concepts/overview/working-with-objects/names/.
"""

from __future__ import annotations

from typing import Any, Final

from trireme.api import rules
from trireme.machinery import field, gotext, names
from trireme.machinery.apply import managed
from trireme.machinery.field import FieldError, Path
from trireme.machinery.meta import ObjectMeta, OwnerReference
from trireme.machinery.resource import Resource

ANNOTATIONS_LIMIT: Final = 256 * 1024
# Finalizers without a slash that built-in kinds may carry.
SHORT_FINALIZERS: Final = ("kubernetes", "orphan", "foregroundDeletion")
_TEMPLATE: Final = ("annotations", "labels")
_META: Final = field.path("metadata")
_FINALIZERS: Final = _META.child("finalizers")


def validate_create(resource: Resource, meta: ObjectMeta) -> list[FieldError]:
    """Errors in the metadata of an object that is about to be created."""
    errs: list[FieldError] = []
    if meta.generateName:
        masked = names.mask_trailing_dash(meta.generateName)
        where = _META.child("generateName")
        rules.add(errs, where, meta.generateName, resource.name_errors(masked))
    if not meta.name:
        errs.append(field.required(_META.child("name"), "name or generateName is required"))
    else:
        messages = resource.name_errors(meta.name) or names.is_path_segment(meta.name)
        if messages:
            rules.add(errs, _META.child("name"), meta.name, messages)
    if resource.namespaced:
        rules.required_syntax(errs, _META, "namespace", meta.namespace, names.is_dns1123_label)
    elif meta.namespace:
        errs.append(field.forbidden(_META.child("namespace"), "not allowed on this type"))
    rules.not_negative(errs, _META, "generation", meta.generation)
    _common(errs, meta, resource.short_finalizers)
    return errs


def validate_embedded(meta: ObjectMeta, at: Path) -> list[FieldError]:
    """Errors in the metadata of an object inside another one, of an unknown kind."""
    errs: list[FieldError] = []
    if meta.generateName:
        messages = names.is_path_segment_prefix(meta.generateName)
        rules.add(errs, at.child("generateName"), meta.generateName, messages)
    if meta.name:
        rules.add(errs, at.child("name"), meta.name, names.is_path_segment(meta.name))
    if meta.namespace:
        rules.syntax(errs, at, "namespace", meta.namespace, names.is_dns1123_label)
    rules.not_negative(errs, at, "generation", meta.generation)
    _common(errs, meta, False, at)
    return errs


def validate_update(resource: Resource, new: ObjectMeta, old: ObjectMeta) -> list[FieldError]:
    """Errors in the metadata of an update, against what is stored."""
    errs: list[FieldError] = []
    if old.deletionTimestamp is not None:
        added = sorted({*new.finalizers} - {*old.finalizers})
        if added:
            quoted = ", ".join(gotext.quote(item) for item in added)
            detail = (
                "no new finalizers can be added if the object is being deleted, found new "
                f"finalizers []string{{{quoted}}}"
            )
            errs.append(field.forbidden(_FINALIZERS, detail))
    if new.generation < old.generation:
        detail = "must not be decremented"
        errs.append(field.invalid(_META.child("generation"), new.generation, detail))
    for attribute in ("name", "namespace", "uid"):
        rules.unchanged(errs, _META, attribute, getattr(new, attribute), getattr(old, attribute))
    # What is stored was validated when it was written.
    unchanged = (
        new.labels == old.labels
        and new.annotations == old.annotations
        and new.ownerReferences == old.ownerReferences
        and new.finalizers == old.finalizers
    )
    if not unchanged:
        _common(errs, new, resource.short_finalizers)
    elif new.managedFields is not old.managedFields:
        errs += managed.problems(_META.child("managedFields"), new.managedFields)
    return errs


def prepare_status(new: Any, old: Any) -> None:
    """A write of the status leaves metadata alone (``prepare_status`` of most newer kinds)."""
    meta, before = new.metadata, old.metadata
    meta.labels = before.labels
    meta.annotations = before.annotations
    meta.finalizers = before.finalizers
    meta.ownerReferences = before.ownerReferences


def _common(
    errs: list[FieldError], meta: ObjectMeta, short_finalizers: bool, at: Path = _META
) -> None:
    if meta.labels:
        rules.labels(errs, at.child("labels"), meta.labels)
    if meta.annotations:
        errs += validate_annotations(meta.annotations, at.child("annotations"))
    if meta.ownerReferences:
        _owners(errs, meta.ownerReferences, at.child("ownerReferences"))
    if meta.finalizers:
        finalizers(errs, at.child("finalizers"), meta.finalizers, short_finalizers)
    if meta.managedFields:
        errs += managed.problems(at.child("managedFields"), meta.managedFields)


def validate_annotations(values: dict[str, str], at: Path) -> list[FieldError]:
    """Errors in annotations: keys are qualified names in any case, the sum of all is bounded."""
    errs: list[FieldError] = []
    total = 0
    for key, value in values.items():
        messages = names.is_qualified_name(key.lower())
        if messages:
            rules.add(errs, at, key, messages)
        total += len(key.encode()) + len(value.encode())
    if total > ANNOTATIONS_LIMIT:
        errs.append(field.too_long(at, ANNOTATIONS_LIMIT))
    return errs


def of_template(meta: ObjectMeta, at: Path) -> list[FieldError]:
    """The metadata of a template: only labels and annotations count."""
    errs: list[FieldError] = []
    if meta.annotations:
        errs += validate_annotations(meta.annotations, at.child("annotations"))
    rules.labels(errs, at.child("labels"), meta.labels)
    unset = ObjectMeta()
    for name in ObjectMeta.__struct_fields__:
        if name not in _TEMPLATE and getattr(meta, name) != getattr(unset, name):
            errs.append(field.forbidden(at.child(name), "cannot be set"))
    return errs


def finalizers(errs: list[FieldError], at: Path, items: list[str], short: bool = True) -> None:
    """Finalizers; ``short``: of a built-in kind, where those without a domain must be known."""
    for item in items:
        rules.add(errs, at, item, names.is_qualified_name(item))
    if "orphan" in items and "foregroundDeletion" in items:
        detail = "finalizer orphan and foregroundDeletion cannot be both set"
        errs.append(field.invalid(at, items, detail))
    for position, item in enumerate(items if short else ()):
        finalizer_is_known(errs, at.index(position), item)


def finalizer_is_known(errs: list[FieldError], at: Path, item: str) -> None:
    """A finalizer without a domain is one of Kubernetes' own."""
    if "/" not in item and item not in SHORT_FINALIZERS:
        detail = "name is neither a standard finalizer name nor is it fully qualified"
        errs.append(field.invalid(at, item, detail))


def _owners(errs: list[FieldError], owners: list[OwnerReference], at: Path) -> None:
    """Upstream reports every owner at the list, without its position."""
    controller = ""
    for owner in owners:
        _owner(errs, owner, at)
        if not owner.controller:
            continue
        this = f"{owner.kind}/{owner.name}"
        if controller:
            detail = (
                "Only one reference can have Controller set to true. "
                f'Found "true" in references for {controller} and {this}'
            )
            errs.append(field.invalid(at, owners, detail))
        else:
            controller = this


def _owner(errs: list[FieldError], owner: OwnerReference, at: Path) -> None:
    group, _, version = owner.apiVersion.rpartition("/")
    if not version or group.count("/"):
        detail = "version must not be empty"
        errs.append(field.invalid(at.child("apiVersion"), owner.apiVersion, detail))
    for name in ("kind", "name", "uid"):
        if not getattr(owner, name):
            errs.append(field.invalid(at.child(name), "", "must not be empty"))
    if owner.apiVersion == "v1" and owner.kind == "Event":
        detail = "/v1, Kind=Event is disallowed from being an owner"
        errs.append(field.invalid(at, owner, detail))
