"""Rules of the status of a ResourceClaim.

Called by: ResourceClaim. Upstream: pkg/apis/resource/validation,
pkg/registry/resource/resourceclaim; KEP-4817 for the status of devices.
"""

from __future__ import annotations

import ipaddress
from typing import Final

import msgspec

from trireme.api import metadata, rules
from trireme.api.core.v1.pod.rules import placement
from trireme.api.resource.v1 import checks, claim_rules
from trireme.api.resource.v1.claim_status_types import (
    AllocatedDeviceStatus,
    AllocationResult,
    DeviceAllocationConfiguration,
    DeviceRequestAllocationResult,
    NetworkDeviceData,
    ResourceClaimConsumerReference,
)
from trireme.api.resource.v1.resourceclaim_types import ResourceClaim
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path

_MOST_RESERVED: Final = 256
_MOST_RESULTS: Final = 32
_MOST_CONDITIONS: Final = 8
_MOST_DATA: Final = 10 * 1024
_MOST_ADDRESSES: Final = 16
_LONGEST_INTERFACE: Final = 256
_LONGEST_HARDWARE: Final = 128


class _Id(msgspec.Struct, frozen=True):
    """Names one device, or one share of it; errors show it under these names."""

    Driver: str
    Pool: str
    Device: str
    ShareID: str


def _device_id(item: DeviceRequestAllocationResult | AllocatedDeviceStatus) -> _Id:
    return _Id(item.driver, item.pool, item.device, item.shareID or "")


def _allocated(claim: ResourceClaim) -> set[_Id]:
    allocation = claim.status.allocation
    return {_device_id(item) for item in allocation.devices.results} if allocation else set()


def prepare(new: ResourceClaim, old: ResourceClaim) -> None:
    """Drops the status of devices that are no longer allocated; keeps metadata."""
    metadata.prepare_status(new, old)
    freed = _allocated(old) - _allocated(new)
    new.status.devices = [item for item in new.status.devices if _device_id(item) not in freed]


def validate(new: ResourceClaim, old: ResourceClaim) -> Errors:
    """Consumers, allocation, and the status of devices."""
    errs: Errors = []
    status, at = new.status, field.path("status")
    where = at.child("reservedFor")
    checks.each(errs, where, status.reservedFor, _MOST_RESERVED, _consumer, lambda r: r.uid)
    allocated = _allocated(new)

    def device(errs: Errors, at: Path, item: AllocatedDeviceStatus) -> None:
        _device(errs, at, item, allocated)

    checks.each(errs, at.child("devices"), status.devices, -1, device, _device_id)
    if status.reservedFor and status.allocation is None:
        detail = "may not be specified when `allocated` is not set"
        errs.append(field.forbidden(where, detail))
    elif new.metadata.deletionTimestamp and any(
        item not in old.status.reservedFor for item in status.reservedFor
    ):
        detail = (
            "new entries may not be added while `deallocationRequested` or `deletionTimestamp` "
            "are set"
        )
        errs.append(field.forbidden(where, detail))
    if status.allocation is not None and old.status.allocation is not None:
        rules.unchanged(errs, at, "allocation", status.allocation, old.status.allocation)
    elif status.allocation is not None:
        known = claim_rules.request_names(new.spec.devices)
        _allocation(errs, at.child("allocation"), status.allocation, known)
    return errs


def _consumer(errs: Errors, at: Path, item: ResourceClaimConsumerReference) -> None:
    rules.declared(errs, at, item, "resource", "name", "uid")


def _allocation(errs: Errors, at: Path, value: AllocationResult, known: claim_rules.Names) -> None:
    def result(errs: Errors, at: Path, item: DeviceRequestAllocationResult) -> None:
        claim_rules.reference(errs, at.child("request"), item.request, known)
        checks.driver(errs, at.child("driver"), item.driver)
        checks.pool(errs, at.child("pool"), item.pool)
        checks.label(errs, at.child("device"), item.device)
        checks.binding_conditions(errs, at, item.bindingConditions, item.bindingFailureConditions)
        if item.shareID is not None:
            checks.uid(errs, at.child("shareID"), item.shareID)

    def config(errs: Errors, at: Path, item: DeviceAllocationConfiguration) -> None:
        rules.declared(errs, at, item, "source")
        claim_rules.references(errs, at.child("requests"), item.requests, known)
        claim_rules.opaque(errs, at, item.opaque)

    here = at.child("devices")
    checks.each(errs, here.child("results"), value.devices.results, _MOST_RESULTS, result)
    most = 2 * checks.MOST_CONFIGS  # of the class and of the claim
    checks.each(errs, here.child("config"), value.devices.config, most, config)
    if value.nodeSelector is not None:
        placement.node_selector(errs, at.child("nodeSelector"), value.nodeSelector)


def _device(errs: Errors, at: Path, item: AllocatedDeviceStatus, allocated: set[_Id]) -> None:
    checks.driver(errs, at.child("driver"), item.driver)
    checks.pool(errs, at.child("pool"), item.pool)
    checks.label(errs, at.child("device"), item.device)
    if item.shareID is not None:
        checks.uid(errs, at.child("shareID"), item.shareID)
    which = _device_id(item)
    if which not in allocated:
        detail = "must be an allocated device in the claim"
        errs.append(field.invalid(at, which, detail))
    conditions, where = item.conditions or [], at.child("conditions")
    if len(conditions) > _MOST_CONDITIONS:
        errs.append(field.too_many(where, len(conditions), _MOST_CONDITIONS))
    rules.conditions(errs, where, conditions)
    if item.data is not None:
        where = at.child("data")
        checks.json_object(errs, where, item.data, claim_rules.json_size, _MOST_DATA)
    if item.networkData is not None:
        _network(errs, at.child("networkData"), item.networkData)


def _network(errs: Errors, at: Path, data: NetworkDeviceData) -> None:
    if len(data.interfaceName.encode()) > _LONGEST_INTERFACE:
        errs.append(field.too_long(at.child("interfaceName"), _LONGEST_INTERFACE))
    if len(data.hardwareAddress.encode()) > _LONGEST_HARDWARE:
        errs.append(field.too_long(at.child("hardwareAddress"), _LONGEST_HARDWARE))
    checks.each(errs, at.child("ips"), data.ips, _MOST_ADDRESSES, _address, lambda ip: ip)


def _address(errs: Errors, at: Path, text: str) -> None:
    """An interface's address: address and prefix, in the usual spelling."""
    host, slash, prefix = text.partition("/")
    ip = names.parse_ip_sloppy(host) if slash else None
    bits = int(prefix) if prefix.isascii() and prefix.isdigit() and len(prefix) <= 3 else -1
    if ip is None or not 0 <= bits <= (128 if ":" in host else 32):
        detail = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"
        errs.append(field.invalid(at, text, detail))
        return
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    if mapped is not None:
        ip, bits = mapped, bits - 96 if bits > 32 else bits
    usual = f"{ip}/{bits}"
    if text != usual:
        errs.append(field.invalid(at, text, f'must be in canonical form ("{usual}")'))
