"""ResourceClaimTemplate in resource.k8s.io/v1beta1, stored as v1."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from trireme.api.resource.v1 import resourceclaimtemplate as v1
from trireme.api.resource.v1beta1 import claim_types
from trireme.machinery import meta
from trireme.machinery.resource import Conversion
from trireme.machinery.types import Required, Struct, always, constant


class ResourceClaimTemplateSpec(Struct):
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[claim_types.ResourceClaimSpec, Required()] = always(
        claim_types.ResourceClaimSpec
    )


class ResourceClaimTemplate(Struct):
    kind: str = constant("ResourceClaimTemplate")
    apiVersion: str = constant("resource.k8s.io/v1beta1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[ResourceClaimTemplateSpec, Required()] = always(ResourceClaimTemplateSpec)


def defaults(obj: ResourceClaimTemplate) -> None:
    """How many devices are requested."""
    claim_types.defaults(obj.spec.spec)


def to_v1(obj: ResourceClaimTemplate) -> v1.ResourceClaimTemplate:
    """The stored form."""
    spec = v1.ResourceClaimTemplateSpec(
        metadata=obj.spec.metadata, spec=claim_types.to_v1(obj.spec.spec)
    )
    return v1.ResourceClaimTemplate(metadata=obj.metadata, spec=spec)


def from_v1(obj: v1.ResourceClaimTemplate) -> ResourceClaimTemplate:
    """The form of this version."""
    spec = ResourceClaimTemplateSpec(
        metadata=obj.spec.metadata, spec=claim_types.from_v1(obj.spec.spec)
    )
    return ResourceClaimTemplate(metadata=obj.metadata, spec=spec)


RESOURCE = replace(
    v1.RESOURCE,
    type=ResourceClaimTemplate,
    defaults=defaults,
    stored_as=Conversion(stored=v1.RESOURCE, to_stored=to_v1, from_stored=from_v1),
    default_on=False,
    deprecated="v1.35+, unavailable in v1.38+",
)
