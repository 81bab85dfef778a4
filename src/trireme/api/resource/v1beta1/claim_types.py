"""Requests as resource/v1beta1 has them: the exact form stands beside the name, not below it."""

from __future__ import annotations

from typing import Annotated

from trireme.api.resource.v1 import claim_rules
from trireme.api.resource.v1 import claim_types as v1
from trireme.machinery.types import Atomic, Int64, Required, Struct, always, null


class DeviceRequest(Struct):
    name: Annotated[str, Required()] = always(str)
    deviceClassName: str = always(str)
    selectors: Annotated[list[v1.DeviceSelector], Atomic()] = []
    allocationMode: v1.DeviceAllocationMode = ""
    count: Int64 = 0
    adminAccess: bool | None = None
    firstAvailable: Annotated[list[v1.DeviceSubRequest], Atomic()] = []
    tolerations: Annotated[list[v1.DeviceToleration], Atomic()] = []
    capacity: v1.CapacityRequirements | None = None


class DeviceClaim(Struct):
    requests: Annotated[list[DeviceRequest] | None, Atomic()] = null()
    constraints: Annotated[list[v1.DeviceConstraint], Atomic()] = []
    config: Annotated[list[v1.DeviceClaimConfiguration], Atomic()] = []


class ResourceClaimSpec(Struct):
    devices: DeviceClaim = always(DeviceClaim)


_EXACT = v1.ExactDeviceRequest.__struct_fields__


def defaults(spec: ResourceClaimSpec) -> None:
    """One device for a request that names a class and does not say how many."""
    for request in spec.devices.requests or ():
        if request.deviceClassName:
            claim_rules.default_count(request)
        for alternative in request.firstAvailable:
            claim_rules.default_count(alternative)


def to_v1(spec: ResourceClaimSpec) -> v1.ResourceClaimSpec:
    """The form that is stored."""
    devices = spec.devices
    requests = None if devices.requests is None else [_request(item) for item in devices.requests]
    return v1.ResourceClaimSpec(
        devices=v1.DeviceClaim(
            requests=requests, constraints=devices.constraints, config=devices.config
        )
    )


def _request(item: DeviceRequest) -> v1.DeviceRequest:
    exact = v1.ExactDeviceRequest(**{name: getattr(item, name) for name in _EXACT})
    return v1.DeviceRequest(
        name=item.name,
        exactly=None if exact == v1.ExactDeviceRequest() else exact,
        firstAvailable=item.firstAvailable,
    )


def from_v1(spec: v1.ResourceClaimSpec) -> ResourceClaimSpec:
    """The form of this version."""
    devices = spec.devices
    requests = None if devices.requests is None else [_flat(item) for item in devices.requests]
    return ResourceClaimSpec(
        devices=DeviceClaim(
            requests=requests, constraints=devices.constraints, config=devices.config
        )
    )


def _flat(item: v1.DeviceRequest) -> DeviceRequest:
    exact = item.exactly or v1.ExactDeviceRequest()
    return DeviceRequest(
        name=item.name,
        firstAvailable=item.firstAvailable,
        **{name: getattr(exact, name) for name in _EXACT},
    )
