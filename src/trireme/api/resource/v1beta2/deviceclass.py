"""DeviceClass in resource.k8s.io/v1beta2: the same as in v1, in which it is stored."""

from __future__ import annotations

from trireme.api.resource.v1 import deviceclass as v1
from trireme.machinery.resource import alias
from trireme.machinery.types import constant


class DeviceClass(v1.DeviceClass):
    apiVersion: str = constant("resource.k8s.io/v1beta2")


RESOURCE = alias(v1.RESOURCE, DeviceClass, deprecated="v1.36+, unavailable in v1.39+")
