"""LeaseCandidate in coordination.k8s.io/v1alpha2: the same as in v1beta1, in which it is stored."""

from __future__ import annotations

from typing import Annotated

from trireme.api.coordination.v1beta1 import leasecandidate as v1beta1
from trireme.machinery import meta, names
from trireme.machinery.resource import Conversion, Resource
from trireme.machinery.types import Required, Struct, always, constant


class LeaseCandidate(Struct):
    kind: str = constant("LeaseCandidate")
    apiVersion: str = constant("coordination.k8s.io/v1alpha2")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[v1beta1.LeaseCandidateSpec, Required()] = always(v1beta1.LeaseCandidateSpec)


def to_v1beta1(obj: LeaseCandidate) -> v1beta1.LeaseCandidate:
    """The stored form."""
    return v1beta1.LeaseCandidate(metadata=obj.metadata, spec=obj.spec)


def from_v1beta1(obj: v1beta1.LeaseCandidate) -> LeaseCandidate:
    """The form of this version."""
    return LeaseCandidate(metadata=obj.metadata, spec=obj.spec)


RESOURCE = Resource(
    type=LeaseCandidate,
    plural="leasecandidates",
    name_errors=names.is_config_key,
    unconditional_update=False,
    create_on_update=True,
    columns=v1beta1.RESOURCE.columns,
    stored_as=Conversion(stored=v1beta1.RESOURCE, to_stored=to_v1beta1, from_stored=from_v1beta1),
    default_on=False,
    deprecated="coordination.k8s.io/v1alpha2 LeaseCandidate is deprecated in v1.35+, "
    "unavailable in v1.38+",
)
