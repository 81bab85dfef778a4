"""ResourceSlice in resource.k8s.io/v1beta2: the same as in v1, in which it is stored."""

from __future__ import annotations

from dataclasses import replace

from trireme.api.resource.v1 import resourceslice as v1
from trireme.api.resource.v1 import resourceslice_types as v1_types
from trireme.machinery.resource import Conversion
from trireme.machinery.types import constant


class ResourceSlice(v1_types.ResourceSlice):
    apiVersion: str = constant("resource.k8s.io/v1beta2")


def to_v1(obj: ResourceSlice) -> v1_types.ResourceSlice:
    """The stored form."""
    return v1_types.ResourceSlice(metadata=obj.metadata, spec=obj.spec)


def from_v1(obj: v1_types.ResourceSlice) -> ResourceSlice:
    """The form of this version."""
    return ResourceSlice(metadata=obj.metadata, spec=obj.spec)


RESOURCE = replace(
    v1.RESOURCE,
    type=ResourceSlice,
    stored_as=Conversion(stored=v1.RESOURCE, to_stored=to_v1, from_stored=from_v1),
    default_on=False,
    deprecated="resource.k8s.io/v1beta2 ResourceSlice is deprecated in v1.36+, "
    "unavailable in v1.39+",
    label_refusal="field label not supported for resource.k8s.io/v1beta2, Kind=ResourceSlice",
)
