"""Types of ResourceSlice: see the API reference, resource/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.resource.v1.slice_types import ResourceSliceSpec
from trireme.machinery import meta
from trireme.machinery.types import Required, Struct, always, constant


class ResourceSlice(Struct):
    kind: str = constant("ResourceSlice")
    apiVersion: str = constant("resource.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[ResourceSliceSpec, Required()] = always(ResourceSliceSpec)
