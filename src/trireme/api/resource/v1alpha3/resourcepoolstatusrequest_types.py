"""Types of ResourcePoolStatusRequest: see the API reference, resource/v1alpha3."""

from __future__ import annotations

from typing import Annotated

from trireme.machinery import meta
from trireme.machinery.types import (
    Atomic,
    Default,
    Int32,
    Int64,
    Merge,
    Required,
    Struct,
    always,
    constant,
    listmap,
)


class ResourcePoolStatusRequestSpec(Struct):
    driver: Annotated[str, Required()] = always(str)
    poolName: str | None = None
    limit: Annotated[Int32 | None, Default(100)] = None


class PoolStatus(Struct):
    driver: Annotated[str, Required()] = ""
    poolName: Annotated[str, Required()] = ""
    generation: Annotated[Int64, Required()] = always(int)
    resourceSliceCount: Int32 | None = None
    totalDevices: Int32 | None = None
    allocatedDevices: Int32 | None = None
    availableDevices: Int32 | None = None
    unavailableDevices: Int32 | None = None
    nodeName: str | None = None
    validationError: str | None = None


class ResourcePoolStatusRequestStatus(Struct):
    poolCount: Annotated[Int32 | None, Required()] = None
    pools: Annotated[list[PoolStatus], Atomic()] = []
    conditions: Annotated[list[meta.Condition], listmap("type"), Merge("type")] = []


class ResourcePoolStatusRequest(Struct):
    kind: str = constant("ResourcePoolStatusRequest")
    apiVersion: str = constant("resource.k8s.io/v1alpha3")
    metadata: Annotated[meta.ObjectMeta, Required()] = always(meta.ObjectMeta)
    spec: Annotated[ResourcePoolStatusRequestSpec, Required()] = always(
        ResourcePoolStatusRequestSpec
    )
    status: ResourcePoolStatusRequestStatus | None = None
