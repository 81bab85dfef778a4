"""Types of configmap: see the API reference, core/v1."""

from __future__ import annotations

from trireme.machinery import meta
from trireme.machinery.resource import Resource
from trireme.machinery.types import Struct, always, constant


class ConfigMap(Struct):
    kind: str = constant("ConfigMap")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    immutable: bool | None = None
    data: dict[str, str] = {}
    binaryData: dict[str, bytes] = {}


RESOURCE = Resource(
    type=ConfigMap,
    plural="configmaps",
    short_names=("cm",),
)
