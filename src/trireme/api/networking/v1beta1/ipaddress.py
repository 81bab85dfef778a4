"""IPAddress in networking.k8s.io/v1beta1: the same as in v1, in which it is stored."""

from __future__ import annotations

from typing import Annotated

from trireme.api.networking.v1 import ipaddress as v1
from trireme.machinery import meta
from trireme.machinery.resource import Conversion, Resource
from trireme.machinery.types import Required, Struct, always, constant


class IPAddress(Struct):
    kind: str = constant("IPAddress")
    apiVersion: str = constant("networking.k8s.io/v1beta1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[v1.IPAddressSpec, Required()] = always(v1.IPAddressSpec)


def to_v1(obj: IPAddress) -> v1.IPAddress:
    """The stored form."""
    return v1.IPAddress(metadata=obj.metadata, spec=obj.spec)


def from_v1(obj: v1.IPAddress) -> IPAddress:
    """The form of this version."""
    return IPAddress(metadata=obj.metadata, spec=obj.spec)


RESOURCE = Resource(
    type=IPAddress,
    plural="ipaddresses",
    namespaced=False,
    short_names=("ip",),
    columns=v1.RESOURCE.columns,
    stored_as=Conversion(stored=v1.RESOURCE, to_stored=to_v1, from_stored=from_v1),
    default_on=False,
    deprecated="networking.k8s.io/v1beta1 IPAddress is deprecated in v1.34+, unavailable in v1.37+",
)
