"""Types of namespace: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated, Final

from trireme.api import columns, metadata, rules
from trireme.api.rules import Errors
from trireme.machinery import field, meta, names
from trireme.machinery.resource import Column, Resource, Subresource, status
from trireme.machinery.types import (
    Atomic,
    Enum,
    Merge,
    Required,
    Struct,
    Time,
    always,
    constant,
    listmap,
    null,
)

NamespacePhase = Annotated[str, Enum(("Active", "Terminating"))]


class NamespaceSpec(Struct):
    finalizers: Annotated[list[str], Atomic()] = []


class NamespaceCondition(Struct):
    type: Annotated[str, Required()] = always(str)
    status: Annotated[str, Required()] = always(str)
    lastTransitionTime: Time | None = null()
    reason: str = ""
    message: str = ""


class NamespaceStatus(Struct):
    phase: NamespacePhase = ""
    conditions: Annotated[list[NamespaceCondition], listmap("type"), Merge("type")] = []


class Namespace(Struct):
    kind: str = constant("Namespace")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: NamespaceSpec = always(NamespaceSpec)
    status: NamespaceStatus = always(NamespaceStatus)


NAME_LABEL: Final = "kubernetes.io/metadata.name"
FINALIZER: Final = "kubernetes"


def defaults(obj: Namespace) -> None:
    """A label with the name, by which selectors can pick single namespaces."""
    if obj.metadata.name:
        obj.metadata.labels[NAME_LABEL] = obj.metadata.name
    obj.status.phase = obj.status.phase or "Active"


def prepare_create(new: Namespace) -> None:
    """Phase Active, and the finalizer that the namespace controller removes."""
    new.status = NamespaceStatus(phase="Active")
    # A generated name was not known when the defaults were written.
    new.metadata.labels[NAME_LABEL] = new.metadata.name
    if FINALIZER not in new.spec.finalizers:
        new.spec.finalizers.append(FINALIZER)


def prepare_update(new: Namespace, old: Namespace) -> None:
    """Finalizers change by ``/finalize`` alone."""
    new.spec.finalizers = old.spec.finalizers
    new.metadata.labels[NAME_LABEL] = new.metadata.name


def prepare_finalize(new: Namespace, old: Namespace) -> None:
    """``/finalize`` does not write the status."""
    new.status = old.status


def validate(new: Namespace) -> Errors:
    """Finalizers by their names. Upstream reports them at the list, without their position."""
    errs: Errors = []
    at = field.path("spec", "finalizers")
    for item in new.spec.finalizers:
        rules.add(errs, at, item, names.is_qualified_name(item))
        metadata.finalizer_is_known(errs, at, item)
    return errs


def validate_finalize(new: Namespace, _old: Namespace) -> Errors:
    """The remaining finalizers."""
    errs: Errors = []
    for position, item in enumerate(new.spec.finalizers):
        at = field.path("spec", "finalizers").index(position)
        rules.add(errs, at, item, names.is_qualified_name(item))
        metadata.finalizer_is_known(errs, at, item)
    return errs


def validate_status(new: Namespace, _old: Namespace) -> Errors:
    """Terminating exactly while it is deleted."""
    deleting = new.metadata.deletionTimestamp is not None
    expected = "Terminating" if deleting else "Active"
    if new.status.phase == expected:
        return []
    detail = f"may only be '{expected}' if `deletionTimestamp` is {'not ' * deleting}empty"
    return [field.invalid(field.path("status", "Phase"), new.status.phase, detail)]


def begin_delete(obj: Namespace) -> None:
    """Termination starts with the phase."""
    obj.status.phase = "Terminating"


RESOURCE = Resource(
    type=Namespace,
    plural="namespaces",
    namespaced=False,
    short_names=("ns",),
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("finalize", ("update",), prepare=prepare_finalize, validate=validate_finalize),
        status(),
    ),
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate,
    validate_status=validate_status,
    name_errors=names.is_dns1123_label,
    begin_delete=begin_delete,
    held=lambda obj: bool(obj.spec.finalizers),
    returns_deleted=True,
    columns=(
        columns.NAME,
        Column("Status", "status.phase", "Active, or Terminating while it is deleted."),
        columns.AGE,
    ),
    selectable={
        "status.phase": lambda obj: obj.status.phase,
        # Accepted by upstream's first versions, and kept.
        "name": lambda obj: obj.metadata.name,
    },
)
