"""DeviceTaintRule in resource.k8s.io/v1alpha3: the same as in v1beta2, in which it is stored."""

from __future__ import annotations

from trireme.api.resource.v1beta2 import devicetaintrule as v1beta2
from trireme.machinery.resource import alias
from trireme.machinery.types import constant


class DeviceTaintRule(v1beta2.DeviceTaintRule):
    apiVersion: str = constant("resource.k8s.io/v1alpha3")


RESOURCE = alias(v1beta2.RESOURCE, DeviceTaintRule, deprecated="v1.36+, unavailable in v1.39+")
