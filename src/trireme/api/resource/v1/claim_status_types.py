"""The status of a ResourceClaim: its allocation and consumers."""

from __future__ import annotations

from typing import Annotated

from trireme.api.core.v1.selection import NodeSelector
from trireme.api.resource.v1.claim_types import DeviceToleration, OpaqueDeviceConfiguration
from trireme.machinery import meta
from trireme.machinery.types import (
    AnyJSON,
    Atomic,
    Enum,
    Merge,
    Quantity,
    Required,
    Struct,
    Time,
    always,
    listmap,
    null,
)

AllocationConfigSource = Annotated[str, Enum(("FromClaim", "FromClass"))]


class NetworkDeviceData(Struct):
    interfaceName: str = ""
    ips: Annotated[list[str], Atomic()] = []
    hardwareAddress: str = ""


class AllocatedDeviceStatus(Struct):
    driver: Annotated[str, Required()] = always(str)
    pool: Annotated[str, Required()] = always(str)
    device: Annotated[str, Required()] = always(str)
    shareID: str | None = None
    conditions: Annotated[list[meta.Condition] | None, listmap("type")] = null()
    data: Annotated[AnyJSON, Atomic()] = None
    networkData: NetworkDeviceData | None = None


class DeviceAllocationConfiguration(Struct):
    source: Annotated[AllocationConfigSource, Required()] = always(str)
    requests: Annotated[list[str], Atomic()] = []
    opaque: OpaqueDeviceConfiguration | None = None


class DeviceRequestAllocationResult(Struct):
    request: Annotated[str, Required()] = always(str)
    driver: Annotated[str, Required()] = always(str)
    pool: Annotated[str, Required()] = always(str)
    device: Annotated[str, Required()] = always(str)
    adminAccess: bool | None = None
    tolerations: Annotated[list[DeviceToleration], Atomic()] = []
    bindingConditions: Annotated[list[str], Atomic()] = []
    bindingFailureConditions: Annotated[list[str], Atomic()] = []
    shareID: str | None = None
    consumedCapacity: dict[str, Quantity] = {}


class DeviceAllocationResult(Struct):
    results: Annotated[list[DeviceRequestAllocationResult], Atomic()] = []
    config: Annotated[list[DeviceAllocationConfiguration], Atomic()] = []


class AllocationResult(Struct):
    devices: DeviceAllocationResult = always(DeviceAllocationResult)
    nodeSelector: NodeSelector | None = None
    allocationTimestamp: Time | None = None


class ResourceClaimConsumerReference(Struct):
    apiGroup: str = ""
    resource: Annotated[str, Required()] = always(str)
    name: Annotated[str, Required()] = always(str)
    uid: Annotated[str, Required()] = always(str)


class ResourceClaimStatus(Struct):
    allocation: AllocationResult | None = None
    reservedFor: Annotated[list[ResourceClaimConsumerReference], listmap("uid"), Merge("uid")] = []
    devices: Annotated[
        list[AllocatedDeviceStatus], listmap("driver", "device", "pool", "shareID")
    ] = []
