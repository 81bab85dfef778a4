"""CustomResourceDefinition: a kind that is defined by data.

Types are in ``types`` and ``jsonschema``, rules in ``rules/``. What makes the API server serve the
kind is ``apiserver/crd``. Upstream: apiextensions-apiserver registry/customresourcedefinition.
"""

from __future__ import annotations

from trireme.api.apiextensions.v1 import jsonschema, types
from trireme.api.apiextensions.v1.rules import definition
from trireme.api.apiextensions.v1.types import (
    CLEANUP,
    CustomResourceConversion,
    CustomResourceDefinition,
    CustomResourceDefinitionCondition,
    CustomResourceDefinitionStatus,
)
from trireme.api.rules import Errors
from trireme.machinery.resource import Column, Resource, spec_changed, status


def defaults(obj: CustomResourceDefinition) -> None:
    """Names derived from others, no conversion, and the first stored version."""
    names = obj.spec.names
    names.singular = names.singular or names.kind.lower()
    if not names.listKind and names.kind:
        names.listKind = names.kind + "List"
    if obj.spec.conversion is None:
        obj.spec.conversion = CustomResourceConversion(strategy="None")
    for version in obj.spec.versions:
        schema = types.schema_of(version)
        if schema is not None:
            jsonschema.normalize_numbers(schema)
    if not obj.status.storedVersions:
        stored = types.storage_version(obj.spec)
        obj.status.storedVersions = [stored] if stored else None


def prepare_create(new: CustomResourceDefinition) -> None:
    """A fresh status that knows the version which is stored first."""
    new.status = CustomResourceDefinitionStatus()
    _add_stored_version(new)


def prepare_update(new: CustomResourceDefinition, old: CustomResourceDefinition) -> None:
    """A version that becomes the stored one is added to status.storedVersions."""
    _add_stored_version(new)


def _add_stored_version(obj: CustomResourceDefinition) -> None:
    stored = types.storage_version(obj.spec)
    known = obj.status.storedVersions or []
    if stored and stored not in known:
        obj.status.storedVersions = [*known, stored]


def begin_delete(obj: CustomResourceDefinition) -> None:
    """The instances are deleted first: a finalizer holds the definition until then."""
    if CLEANUP not in obj.metadata.finalizers:
        obj.metadata.finalizers.append(CLEANUP)
    pending = CustomResourceDefinitionCondition(
        type=types.TERMINATING,
        status="True",
        reason="InstanceDeletionPending",
        message="CustomResourceDefinition marked for deletion; CustomResource deletion will "
        "begin soon",
    )
    types.set_condition(obj.status, pending, obj.metadata.deletionTimestamp or "")


def is_held(obj: CustomResourceDefinition) -> bool:
    """A definition is never deleted at once: its instances are deleted first."""
    return obj.metadata.deletionTimestamp is None


def validate_status(new: CustomResourceDefinition, _old: CustomResourceDefinition) -> Errors:
    """The accepted names are names."""
    return definition.validate_status(new)


RESOURCE = Resource(
    type=CustomResourceDefinition,
    plural="customresourcedefinitions",
    namespaced=False,
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    subresources=(status(),),
    unconditional_update=False,
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=definition.validate,
    validate_update=definition.validate_update,
    validate_status=validate_status,
    name_errors=definition.name_errors,
    generation=spec_changed,
    begin_delete=begin_delete,
    held=is_held,
    warnings=definition.warnings,
    columns=(
        Column("Name", "metadata.name", "What the object is called.", format="name"),
        Column(
            "Created At", "metadata.creationTimestamp", "When the object was created.", type="date"
        ),
    ),
)
