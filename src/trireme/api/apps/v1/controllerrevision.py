"""Types of controllerrevision: see the API reference, apps/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api import columns, rules
from trireme.api.rules import Errors
from trireme.machinery import field, meta
from trireme.machinery.resource import Column, Resource
from trireme.machinery.types import AnyJSON, Atomic, Int64, Required, Struct, always, constant


class ControllerRevision(Struct):
    kind: str = constant("ControllerRevision")
    apiVersion: str = constant("apps/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    data: Annotated[AnyJSON, Atomic()] = None
    revision: Annotated[Int64, Required()] = always(int)


def validate(new: ControllerRevision) -> Errors:
    """The data is an object of any kind."""
    errs: Errors = []
    rules.not_negative(errs, field.path(), "revision", new.revision)
    if new.data is None:
        errs.append(field.required(field.path("data"), "data is mandatory"))
    elif not isinstance(new.data, dict):
        errs.append(field.required(field.path("data"), "data must be a valid JSON object"))
    return errs


def validate_update(new: ControllerRevision, old: ControllerRevision) -> Errors:
    """The data stays."""
    errs: Errors = []
    rules.not_negative(errs, field.path(), "revision", new.revision)
    rules.unchanged(errs, field.path(), "data", new.data, old.data)
    return errs


def _controller(obj: ControllerRevision) -> str:
    owner = next((ref for ref in obj.metadata.ownerReferences if ref.controller), None)
    if owner is None:
        return columns.NONE
    group, slash, _ = owner.apiVersion.partition("/")
    kind = f"{owner.kind}.{group}" if slash else owner.kind
    return f"{kind.lower()}/{owner.name}"


RESOURCE = Resource(
    type=ControllerRevision,
    plural="controllerrevisions",
    validate=validate,
    validate_update=validate_update,
    columns=(
        columns.NAME,
        Column("Controller", _controller, "The object whose states are kept."),
        Column("Revision", "revision", "Which of its states this is."),
        columns.AGE,
    ),
)
