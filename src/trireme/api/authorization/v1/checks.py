"""Rules of access reviews.

In: a review's spec and metadata. Out: field errors. Called by: the four kinds of access review,
which the API server answers and does not store. Upstream: pkg/apis/authorization/validation;
https://kubernetes.io/docs/reference/access-authn-authz/authorization/.
"""

from __future__ import annotations

from typing import Final

import msgspec

from trireme.api import rules
from trireme.api.authorization.v1.attributes import (
    FieldSelectorAttributes,
    LabelSelectorAttributes,
    NonResourceAttributes,
    ResourceAttributes,
    SubjectAccessReviewSpec,
)
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path
from trireme.machinery.meta import FieldSelectorRequirement, LabelSelectorRequirement, ObjectMeta

_SPEC: Final = field.path("spec")


def subject(errs: Errors, spec: SubjectAccessReviewSpec) -> None:
    """The subject and the attributes of a review."""
    _one_kind(errs, spec.resourceAttributes, spec.nonResourceAttributes)
    if not spec.user and not spec.groups:
        detail = "at least one of user or group must be specified"
        errs.append(field.invalid(_SPEC.child("user"), spec.user, detail))
    _selectors(errs, spec.resourceAttributes)


def attributes(
    errs: Errors, resource: ResourceAttributes | None, other: NonResourceAttributes | None
) -> None:
    """The attributes of a self-review."""
    _one_kind(errs, resource, other)
    _selectors(errs, resource)


def empty_metadata(errs: Errors, meta: ObjectMeta, *, but_namespace: bool = False) -> None:
    """Reviews have no names."""
    kept = ObjectMeta(managedFields=meta.managedFields)
    if but_namespace:
        kept.namespace = meta.namespace
    if meta != kept:
        detail = "must be empty except for namespace" if but_namespace else "must be empty"
        bad_value = msgspec.to_builtins(meta)
        errs.append(field.invalid(field.path("metadata"), bad_value, detail))


def _one_kind(
    errs: Errors, resource: ResourceAttributes | None, other: NonResourceAttributes | None
) -> None:
    if resource is not None and other is not None:
        detail = "cannot be specified in combination with resourceAttributes"
        errs.append(field.invalid(_SPEC.child("nonResourceAttributes"), other, detail))
    if resource is None and other is None:
        detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        errs.append(field.invalid(_SPEC.child("resourceAttributes"), None, detail))


def _selectors(errs: Errors, resource: ResourceAttributes | None) -> None:
    if resource is None:
        return
    at = _SPEC.child("resourceAttributes")
    if resource.fieldSelector is not None:
        here = at.child("fieldSelector")
        _selector(errs, here, resource.fieldSelector)
        for position, item in enumerate(resource.fieldSelector.requirements):
            below = here.child("requirements").index(position)
            rules.required(errs, below, "key", item.key, "must be specified")
            _values(errs, below, item)
    if resource.labelSelector is not None:
        here = at.child("labelSelector")
        _selector(errs, here, resource.labelSelector)
        for position, label in enumerate(resource.labelSelector.requirements):
            below = here.child("requirements").index(position)
            _values(errs, below, label)
            rules.syntax(errs, below, "key", label.key, names.is_qualified_name)
            for number, value in enumerate(label.values):
                where = below.child("values").index(number)
                rules.add(errs, where, value, names.is_label_value(value))


def _selector(
    errs: Errors, at: Path, selector: FieldSelectorAttributes | LabelSelectorAttributes
) -> None:
    if selector.rawSelector and selector.requirements:
        detail = "may not specified at the same time as requirements"
        errs.append(field.invalid(at.child("rawSelector"), selector.rawSelector, detail))
    if not selector.rawSelector and not selector.requirements:
        detail = f"when {at} is specified, requirements or rawSelector is required"
        errs.append(field.required(at.child("requirements"), detail))


def _values(
    errs: Errors, at: Path, item: FieldSelectorRequirement | LabelSelectorRequirement
) -> None:
    """Unknown operators come from newer clients, and are accepted."""
    where = at.child("values")
    if item.operator in ("In", "NotIn") and not item.values:
        detail = "must be specified when `operator` is 'In' or 'NotIn'"
        errs.append(field.required(where, detail))
    if item.operator in ("Exists", "DoesNotExist") and item.values:
        detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        errs.append(field.forbidden(where, detail))
