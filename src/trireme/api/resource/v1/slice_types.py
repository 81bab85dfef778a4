"""The devices of a ResourceSlice: attributes, capacity, taints."""

from __future__ import annotations

from typing import Annotated

from trireme.api.core.v1.selection import NodeSelector
from trireme.api.resource.v1.claim_types import DeviceTaintEffect
from trireme.machinery.types import (
    Atomic,
    Int64,
    Quantity,
    Required,
    Struct,
    Time,
    always,
    constant,
    null,
)

Bool = bool  # a field of this name hides the type


class Counter(Struct):
    value: Annotated[Quantity, Required()] = constant("0")


class CounterSet(Struct):
    name: Annotated[str, Required()] = always(str)
    counters: Annotated[dict[str, Counter], Required()] = {}


class DeviceAttribute(Struct):
    int: Int64 | None = None
    bool: Bool | None = None
    string: str | None = None
    version: str | None = None
    ints: Annotated[list[Int64], Atomic()] = []
    bools: Annotated[list[Bool], Atomic()] = []
    strings: Annotated[list[str], Atomic()] = []
    versions: Annotated[list[str], Atomic()] = []


class CapacityRequestPolicyRange(Struct):
    min: Annotated[Quantity | None, Required()] = None
    max: Quantity | None = None
    step: Quantity | None = None


class CapacityRequestPolicy(Struct):
    default: Quantity | None = null()
    validValues: Annotated[list[Quantity], Atomic()] = []
    validRange: CapacityRequestPolicyRange | None = None


class DeviceCapacity(Struct):
    value: Annotated[Quantity, Required()] = constant("0")
    requestPolicy: CapacityRequestPolicy | None = None


class DeviceCounterConsumption(Struct):
    counterSet: Annotated[str, Required()] = always(str)
    counters: Annotated[dict[str, Counter], Required()] = {}


class DeviceTaint(Struct):
    key: Annotated[str, Required()] = always(str)
    value: str = ""
    effect: Annotated[DeviceTaintEffect, Required()] = always(str)
    timeAdded: Time | None = None


class NodeAllocatableResourceMapping(Struct):
    capacityKey: str | None = None
    allocationMultiplier: Quantity | None = None


class Device(Struct):
    name: Annotated[str, Required()] = always(str)
    attributes: dict[str, DeviceAttribute] = {}
    capacity: dict[str, DeviceCapacity] = {}
    consumesCounters: Annotated[list[DeviceCounterConsumption], Atomic()] = []
    nodeName: str | None = None
    nodeSelector: NodeSelector | None = None
    allNodes: bool | None = None
    taints: Annotated[list[DeviceTaint], Atomic()] = []
    bindsToNode: bool | None = None
    bindingConditions: Annotated[list[str], Atomic()] = []
    bindingFailureConditions: Annotated[list[str], Atomic()] = []
    allowMultipleAllocations: bool | None = None
    nodeAllocatableResourceMappings: dict[str, NodeAllocatableResourceMapping] = {}


class ResourcePool(Struct):
    name: Annotated[str, Required()] = always(str)
    generation: Annotated[Int64, Required()] = always(int)
    resourceSliceCount: Annotated[Int64, Required()] = always(int)


class ResourceSliceSpec(Struct):
    driver: Annotated[str, Required()] = always(str)
    pool: Annotated[ResourcePool, Required()] = always(ResourcePool)
    nodeName: str | None = None
    nodeSelector: NodeSelector | None = None
    allNodes: bool | None = None
    devices: Annotated[list[Device], Atomic()] = []
    perDeviceNodeSelection: bool | None = None
    sharedCounters: Annotated[list[CounterSet], Atomic()] = []
