"""ResourceClaim in resource.k8s.io/v1beta2: the same as in v1, in which it is stored."""

from __future__ import annotations

from dataclasses import replace

from trireme.api.resource.v1 import resourceclaim as v1
from trireme.api.resource.v1 import resourceclaim_types as v1_types
from trireme.machinery.resource import Conversion
from trireme.machinery.types import constant


class ResourceClaim(v1_types.ResourceClaim):
    apiVersion: str = constant("resource.k8s.io/v1beta2")


def to_v1(obj: ResourceClaim) -> v1_types.ResourceClaim:
    """The stored form."""
    return v1_types.ResourceClaim(metadata=obj.metadata, spec=obj.spec, status=obj.status)


def from_v1(obj: v1_types.ResourceClaim) -> ResourceClaim:
    """The form of this version."""
    return ResourceClaim(metadata=obj.metadata, spec=obj.spec, status=obj.status)


RESOURCE = replace(
    v1.RESOURCE,
    type=ResourceClaim,
    stored_as=Conversion(stored=v1.RESOURCE, to_stored=to_v1, from_stored=from_v1),
    default_on=False,
    deprecated="resource.k8s.io/v1beta2 ResourceClaim is deprecated in v1.36+, "
    "unavailable in v1.39+",
)
