"""ResourceSlice in resource.k8s.io/v1beta1, stored as v1: attributes stand below ``basic``, and
node fields are empty instead of absent."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from trireme.api.core.v1.selection import NodeSelector
from trireme.api.resource.v1 import resourceslice as v1
from trireme.api.resource.v1 import resourceslice_types as v1_types
from trireme.api.resource.v1 import slice_types as types
from trireme.machinery import meta
from trireme.machinery.resource import Conversion
from trireme.machinery.types import Atomic, Required, Struct, always, constant


class BasicDevice(Struct):
    attributes: dict[str, types.DeviceAttribute] = {}
    capacity: dict[str, types.DeviceCapacity] = {}
    consumesCounters: Annotated[list[types.DeviceCounterConsumption], Atomic()] = []
    nodeName: str | None = None
    nodeSelector: NodeSelector | None = None
    allNodes: bool | None = None
    taints: Annotated[list[types.DeviceTaint], Atomic()] = []
    bindsToNode: bool | None = None
    bindingConditions: Annotated[list[str], Atomic()] = []
    bindingFailureConditions: Annotated[list[str], Atomic()] = []
    allowMultipleAllocations: bool | None = None
    nodeAllocatableResourceMappings: dict[str, types.NodeAllocatableResourceMapping] = {}


class Device(Struct):
    name: Annotated[str, Required()] = always(str)
    basic: BasicDevice | None = None


class ResourceSliceSpec(Struct):
    driver: Annotated[str, Required()] = always(str)
    pool: Annotated[types.ResourcePool, Required()] = always(types.ResourcePool)
    nodeName: str = ""
    nodeSelector: NodeSelector | None = None
    allNodes: bool = False
    devices: Annotated[list[Device], Atomic()] = []
    perDeviceNodeSelection: bool | None = None
    sharedCounters: Annotated[list[types.CounterSet], Atomic()] = []


class ResourceSlice(Struct):
    kind: str = constant("ResourceSlice")
    apiVersion: str = constant("resource.k8s.io/v1beta1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[ResourceSliceSpec, Required()] = always(ResourceSliceSpec)


_BASIC = BasicDevice.__struct_fields__
_EQUAL = ("driver", "pool", "nodeSelector", "perDeviceNodeSelection", "sharedCounters")


def defaults(obj: ResourceSlice) -> None:
    """A device counts once for what nodes can allocate."""
    for device in obj.spec.devices:
        for mapping in (
            device.basic.nodeAllocatableResourceMappings.values() if device.basic else ()
        ):
            mapping.allocationMultiplier = mapping.allocationMultiplier or "1"


def to_v1(obj: ResourceSlice) -> v1_types.ResourceSlice:
    """The stored form."""
    spec = obj.spec
    return v1_types.ResourceSlice(
        metadata=obj.metadata,
        spec=types.ResourceSliceSpec(
            nodeName=spec.nodeName or None,
            allNodes=spec.allNodes or None,
            devices=[_device(item) for item in spec.devices],
            **{name: getattr(spec, name) for name in _EQUAL},
        ),
    )


def _device(item: Device) -> types.Device:
    basic = item.basic or BasicDevice()
    return types.Device(name=item.name, **{name: getattr(basic, name) for name in _BASIC})


def from_v1(obj: v1_types.ResourceSlice) -> ResourceSlice:
    """The form of this version."""
    spec = obj.spec
    return ResourceSlice(
        metadata=obj.metadata,
        spec=ResourceSliceSpec(
            nodeName=spec.nodeName or "",
            allNodes=spec.allNodes or False,
            devices=[_basic(item) for item in spec.devices],
            **{name: getattr(spec, name) for name in _EQUAL},
        ),
    )


def _basic(item: types.Device) -> Device:
    return Device(
        name=item.name, basic=BasicDevice(**{name: getattr(item, name) for name in _BASIC})
    )


RESOURCE = replace(
    v1.RESOURCE,
    type=ResourceSlice,
    defaults=defaults,
    selectable={
        "spec.nodeName": lambda obj: obj.spec.nodeName,
        "spec.driver": lambda obj: obj.spec.driver,
    },
    stored_as=Conversion(stored=v1.RESOURCE, to_stored=to_v1, from_stored=from_v1),
    default_on=False,
    deprecated="v1.35+, unavailable in v1.38+",
    label_refusal="field label not supported for resource.k8s.io/v1beta1, Kind=ResourceSlice",
)
