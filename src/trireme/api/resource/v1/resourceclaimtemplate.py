"""Types of resourceclaimtemplate: see the API reference, resource/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api import columns, metadata, rules
from trireme.api.resource.v1 import claim_rules
from trireme.api.resource.v1.claim_types import ResourceClaimSpec
from trireme.api.rules import Errors
from trireme.machinery import field, meta
from trireme.machinery.resource import Resource
from trireme.machinery.types import Required, Struct, always, constant


class ResourceClaimTemplateSpec(Struct):
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[ResourceClaimSpec, Required()] = always(ResourceClaimSpec)


class ResourceClaimTemplate(Struct):
    kind: str = constant("ResourceClaimTemplate")
    apiVersion: str = constant("resource.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[ResourceClaimTemplateSpec, Required()] = always(ResourceClaimTemplateSpec)


def defaults(obj: ResourceClaimTemplate) -> None:
    """How many devices are requested."""
    claim_rules.defaults(obj.spec.spec.devices)


def validate(new: ResourceClaimTemplate) -> Errors:
    """The claims that are made from it; of their metadata only labels and annotations count."""
    errs: Errors = []
    at = field.path("spec")
    errs += metadata.of_template(new.spec.metadata, at.child("metadata"))
    claim_rules.claim(errs, at.child("spec", "devices"), new.spec.spec.devices)
    return errs


def validate_update(new: ResourceClaimTemplate, old: ResourceClaimTemplate) -> Errors:
    """The spec stays."""
    errs = validate(new)
    rules.unchanged(errs, field.path(), "spec", new.spec, old.spec)
    return errs


RESOURCE = Resource(
    type=ResourceClaimTemplate,
    plural="resourceclaimtemplates",
    defaults=defaults,
    validate=validate,
    validate_update=validate_update,
    returns_deleted=True,
    columns=(
        columns.NAME,
        columns.AGE,
    ),
)
