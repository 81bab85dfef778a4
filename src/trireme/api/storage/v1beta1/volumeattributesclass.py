"""VolumeAttributesClass in storage.k8s.io/v1beta1: the same as in v1, in which it is stored."""

from __future__ import annotations

from trireme.api.storage.v1 import volumeattributesclass as v1
from trireme.machinery.resource import alias
from trireme.machinery.types import constant


class VolumeAttributesClass(v1.VolumeAttributesClass):
    apiVersion: str = constant("storage.k8s.io/v1beta1")


RESOURCE = alias(
    v1.RESOURCE,
    VolumeAttributesClass,
    deprecated="v1.34+, unavailable in v1.37+; use storage.k8s.io/v1 VolumeAttributesClass",
)
