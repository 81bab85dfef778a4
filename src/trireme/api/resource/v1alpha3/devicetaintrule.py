"""DeviceTaintRule in resource.k8s.io/v1alpha3: the same as in v1beta2, in which it is stored."""

from __future__ import annotations

from dataclasses import replace

from trireme.api.resource.v1beta2 import devicetaintrule as v1beta2
from trireme.machinery.resource import Conversion
from trireme.machinery.types import constant


class DeviceTaintRule(v1beta2.DeviceTaintRule):
    apiVersion: str = constant("resource.k8s.io/v1alpha3")


def to_v1beta2(obj: DeviceTaintRule) -> v1beta2.DeviceTaintRule:
    """The stored form."""
    return v1beta2.DeviceTaintRule(metadata=obj.metadata, spec=obj.spec, status=obj.status)


def from_v1beta2(obj: v1beta2.DeviceTaintRule) -> DeviceTaintRule:
    """The form of this version."""
    return DeviceTaintRule(metadata=obj.metadata, spec=obj.spec, status=obj.status)


RESOURCE = replace(
    v1beta2.RESOURCE,
    type=DeviceTaintRule,
    stored_as=Conversion(stored=v1beta2.RESOURCE, to_stored=to_v1beta2, from_stored=from_v1beta2),
    default_on=False,
    deprecated="resource.k8s.io/v1alpha3 DeviceTaintRule is deprecated in v1.36+, "
    "unavailable in v1.39+",
)
