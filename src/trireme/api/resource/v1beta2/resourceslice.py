"""ResourceSlice in resource.k8s.io/v1beta2: the same as in v1, in which it is stored."""

from __future__ import annotations

from trireme.api.resource.v1 import resourceslice as v1
from trireme.api.resource.v1 import resourceslice_types as v1_types
from trireme.machinery.resource import alias
from trireme.machinery.types import constant


class ResourceSlice(v1_types.ResourceSlice):
    apiVersion: str = constant("resource.k8s.io/v1beta2")


RESOURCE = alias(
    v1.RESOURCE,
    ResourceSlice,
    deprecated="v1.36+, unavailable in v1.39+",
    label_refusal="field label not supported for resource.k8s.io/v1beta2, Kind=ResourceSlice",
)
