"""IPAddress in networking.k8s.io/v1beta1: the same as in v1, in which it is stored."""

from __future__ import annotations

from trireme.api.networking.v1 import ipaddress as v1
from trireme.machinery.resource import alias
from trireme.machinery.types import constant


class IPAddress(v1.IPAddress):
    apiVersion: str = constant("networking.k8s.io/v1beta1")


RESOURCE = alias(v1.RESOURCE, IPAddress, deprecated="v1.34+, unavailable in v1.37+")
