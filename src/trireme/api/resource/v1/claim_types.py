"""What claims, their templates and device classes ask for: requests, selectors, configuration."""

from __future__ import annotations

from typing import Annotated

from trireme.machinery.types import (
    AnyJSON,
    Atomic,
    Default,
    Enum,
    Int64,
    Quantity,
    Required,
    Struct,
    always,
    null,
)

DeviceAllocationMode = Annotated[str, Enum(("All", "ExactCount"))]
DeviceTaintEffect = Annotated[str, Enum(("NoExecute", "NoSchedule", "None"))]
DeviceTolerationOperator = Annotated[str, Enum(("Equal", "Exists"))]


class OpaqueDeviceConfiguration(Struct):
    driver: Annotated[str, Required()] = always(str)
    parameters: Annotated[AnyJSON, Required(), Atomic()] = null()


class CELDeviceSelector(Struct):
    expression: Annotated[str, Required()] = always(str)


class DeviceSelector(Struct):
    cel: CELDeviceSelector | None = None


class DeviceClaimConfiguration(Struct):
    requests: Annotated[list[str], Atomic()] = []
    opaque: OpaqueDeviceConfiguration | None = None


class DeviceConstraint(Struct):
    requests: Annotated[list[str], Atomic()] = []
    matchAttribute: str | None = None
    distinctAttribute: str | None = None


class CapacityRequirements(Struct):
    requests: dict[str, Quantity] = {}


class DeviceToleration(Struct):
    key: str = ""
    operator: Annotated[DeviceTolerationOperator, Default("Equal")] = ""
    value: str = ""
    effect: DeviceTaintEffect = ""
    tolerationSeconds: Int64 | None = None


class DeviceSubRequest(Struct):
    name: Annotated[str, Required()] = always(str)
    deviceClassName: Annotated[str, Required()] = always(str)
    selectors: Annotated[list[DeviceSelector], Atomic()] = []
    allocationMode: DeviceAllocationMode = ""
    count: Int64 = 0
    tolerations: Annotated[list[DeviceToleration], Atomic()] = []
    capacity: CapacityRequirements | None = None


class ExactDeviceRequest(Struct):
    deviceClassName: Annotated[str, Required()] = always(str)
    selectors: Annotated[list[DeviceSelector], Atomic()] = []
    allocationMode: DeviceAllocationMode = ""
    count: Int64 = 0
    adminAccess: bool | None = None
    tolerations: Annotated[list[DeviceToleration], Atomic()] = []
    capacity: CapacityRequirements | None = None


class DeviceRequest(Struct):
    name: Annotated[str, Required()] = always(str)
    exactly: ExactDeviceRequest | None = None
    firstAvailable: Annotated[list[DeviceSubRequest], Atomic()] = []


class DeviceClaim(Struct):
    requests: Annotated[list[DeviceRequest] | None, Atomic()] = null()
    constraints: Annotated[list[DeviceConstraint], Atomic()] = []
    config: Annotated[list[DeviceClaimConfiguration], Atomic()] = []


class ResourceClaimSpec(Struct):
    devices: DeviceClaim = always(DeviceClaim)
