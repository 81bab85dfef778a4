"""Types of ResourceClaim: see the API reference, resource/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.resource.v1.claim_status_types import ResourceClaimStatus
from trireme.api.resource.v1.claim_types import ResourceClaimSpec
from trireme.machinery import meta
from trireme.machinery.types import Required, Struct, always, constant


class ResourceClaim(Struct):
    kind: str = constant("ResourceClaim")
    apiVersion: str = constant("resource.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[ResourceClaimSpec, Required()] = always(ResourceClaimSpec)
    status: ResourceClaimStatus = always(ResourceClaimStatus)
