"""ServiceCIDR in networking.k8s.io/v1beta1: the same as in v1, in which it is stored."""

from __future__ import annotations

from trireme.api.networking.v1 import servicecidr as v1
from trireme.machinery.resource import alias
from trireme.machinery.types import constant


class ServiceCIDR(v1.ServiceCIDR):
    apiVersion: str = constant("networking.k8s.io/v1beta1")


RESOURCE = alias(v1.RESOURCE, ServiceCIDR, deprecated="v1.34+, unavailable in v1.37+")
