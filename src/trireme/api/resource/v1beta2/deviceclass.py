"""DeviceClass in resource.k8s.io/v1beta2: the same as in v1, in which it is stored."""

from __future__ import annotations

from dataclasses import replace

from trireme.api.resource.v1 import deviceclass as v1
from trireme.machinery.resource import Conversion
from trireme.machinery.types import constant


class DeviceClass(v1.DeviceClass):
    apiVersion: str = constant("resource.k8s.io/v1beta2")


def to_v1(obj: DeviceClass) -> v1.DeviceClass:
    """The stored form."""
    return v1.DeviceClass(metadata=obj.metadata, spec=obj.spec)


def from_v1(obj: v1.DeviceClass) -> DeviceClass:
    """The form of this version."""
    return DeviceClass(metadata=obj.metadata, spec=obj.spec)


RESOURCE = replace(
    v1.RESOURCE,
    type=DeviceClass,
    stored_as=Conversion(stored=v1.RESOURCE, to_stored=to_v1, from_stored=from_v1),
    default_on=False,
    deprecated="resource.k8s.io/v1beta2 DeviceClass is deprecated in v1.36+, unavailable in v1.39+",
)
