"""VolumeAttributesClass in storage.k8s.io/v1beta1: the same as in v1, in which it is stored."""

from __future__ import annotations

from typing import Annotated

from trireme.api.storage.v1 import volumeattributesclass as v1
from trireme.machinery import meta
from trireme.machinery.resource import Conversion, Resource
from trireme.machinery.types import Required, Struct, always, constant


class VolumeAttributesClass(Struct):
    kind: str = constant("VolumeAttributesClass")
    apiVersion: str = constant("storage.k8s.io/v1beta1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    driverName: Annotated[str, Required()] = always(str)
    parameters: dict[str, str] = {}


def to_v1(obj: VolumeAttributesClass) -> v1.VolumeAttributesClass:
    """The stored form."""
    return v1.VolumeAttributesClass(
        metadata=obj.metadata, driverName=obj.driverName, parameters=obj.parameters
    )


def from_v1(obj: v1.VolumeAttributesClass) -> VolumeAttributesClass:
    """The form of this version."""
    return VolumeAttributesClass(
        metadata=obj.metadata, driverName=obj.driverName, parameters=obj.parameters
    )


RESOURCE = Resource(
    type=VolumeAttributesClass,
    plural="volumeattributesclasses",
    namespaced=False,
    short_names=("vac",),
    columns=v1.RESOURCE.columns,
    returns_deleted=True,
    stored_as=Conversion(stored=v1.RESOURCE, to_stored=to_v1, from_stored=from_v1),
    default_on=False,
    deprecated="storage.k8s.io/v1beta1 VolumeAttributesClass is deprecated in v1.34+, "
    "unavailable in v1.37+; use storage.k8s.io/v1 VolumeAttributesClass",
)
