"""ResourceClaim in resource.k8s.io/v1beta1, stored as v1."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from trireme.api.resource.v1 import resourceclaim as v1
from trireme.api.resource.v1 import resourceclaim_types as v1_types
from trireme.api.resource.v1.claim_status_types import ResourceClaimStatus
from trireme.api.resource.v1beta1 import claim_types
from trireme.machinery import meta
from trireme.machinery.resource import Conversion
from trireme.machinery.types import Required, Struct, always, constant


class ResourceClaim(Struct):
    kind: str = constant("ResourceClaim")
    apiVersion: str = constant("resource.k8s.io/v1beta1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[claim_types.ResourceClaimSpec, Required()] = always(
        claim_types.ResourceClaimSpec
    )
    status: ResourceClaimStatus = always(ResourceClaimStatus)


def defaults(obj: ResourceClaim) -> None:
    """How many devices are requested."""
    claim_types.defaults(obj.spec)


def to_v1(obj: ResourceClaim) -> v1_types.ResourceClaim:
    """The stored form."""
    spec = claim_types.to_v1(obj.spec)
    return v1_types.ResourceClaim(metadata=obj.metadata, spec=spec, status=obj.status)


def from_v1(obj: v1_types.ResourceClaim) -> ResourceClaim:
    """The form of this version."""
    spec = claim_types.from_v1(obj.spec)
    return ResourceClaim(metadata=obj.metadata, spec=spec, status=obj.status)


RESOURCE = replace(
    v1.RESOURCE,
    type=ResourceClaim,
    defaults=defaults,
    stored_as=Conversion(stored=v1.RESOURCE, to_stored=to_v1, from_stored=from_v1),
    default_on=False,
    deprecated="v1.35+, unavailable in v1.38+",
)
