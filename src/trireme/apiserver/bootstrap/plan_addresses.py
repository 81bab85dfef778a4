"""What is wrong between Services and their IPAddresses, and how it is put right. Pure.

In: all Services, IPAddresses and ServiceCIDRs. Out: creations and deletions. Called by
``addresses``. Upstream: pkg/registry/core/service/ipallocator/controller (repairip).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias

from trireme.api.core.v1.service import Service
from trireme.api.networking.v1.ipaddress import IPAddress
from trireme.api.networking.v1.servicecidr import ServiceCIDR
from trireme.domain import service_cidrs
from trireme.machinery import time

# An IPAddress is there before its Service is: so many seconds a request may take.
REQUEST: Final = 60.0
# And so many the undoing of one that failed.
UNDOING: Final = 5.0

_Services: TypeAlias = Mapping[tuple[str, str], Service]


class Create(NamedTuple):
    """An IPAddress to create; ``reason`` is for the log."""

    address: IPAddress
    reason: str


class Delete(NamedTuple):
    """An IPAddress to delete, unless it is another one by now."""

    name: str
    uid: str
    reason: str


Action: TypeAlias = Create | Delete


class Plan(NamedTuple):
    """``pending``: whether to look again though nothing changes."""

    actions: list[Action]
    pending: bool


def plan(
    services: Iterable[Service],
    addresses: Iterable[IPAddress],
    cidrs: Iterable[ServiceCIDR],
    now: float,
) -> Plan:
    """Each Service has an IPAddress for each of its addresses, and no IPAddress of the allocator is
    without its Service."""
    by_key = {(item.metadata.namespace, item.metadata.name): item for item in services}
    by_name = {item.metadata.name: item for item in addresses}
    networks = [network for cidr in cidrs for network in service_cidrs.networks(cidr)]
    actions: list[Action] = []
    for service in by_key.values():
        for text in _texts(service):
            address = ipaddress.ip_address(text)
            if any(service_cidrs.has(network, address) for network in networks):
                actions += _of_service(service, address, by_name.get(str(address)), by_key)
    pending = False
    deleted = {item.name for item in actions if isinstance(item, Delete)}
    for obj in by_name.values():
        if service_cidrs.is_managed(obj) and obj.metadata.name not in deleted:
            reason, later = _orphaned(obj, by_key, now)
            pending = pending or later
            if reason and not later:
                actions.append(Delete(obj.metadata.name, obj.metadata.uid, reason))
    return Plan(actions, pending)


def _of_service(
    service: Service,
    address: service_cidrs.Address,
    found: IPAddress | None,
    services: _Services,
) -> list[Action]:
    meta = service.metadata
    create = service_cidrs.ip_address(address, meta.namespace, meta.name)
    named = f"{address} of Service {meta.namespace}/{meta.name}"
    if found is None:
        return [Create(create, f"{named} is not allocated")]
    parent = found.spec.parentRef
    if parent is None or parent.group or parent.resource != "services":
        reason = f"{named} does not refer to a Service"
    elif (parent.namespace, parent.name) not in services:
        reason = f"{named} refers to a Service that is not there"
    elif (parent.namespace, parent.name) != (meta.namespace, meta.name):
        # Of both Services' or of the other's alone: the next look deletes it then.
        return []
    elif found.metadata.labels.items() >= create.metadata.labels.items():
        return []
    else:
        reason = f"{named} has wrong labels"
    return [
        Delete(found.metadata.name, found.metadata.uid, reason),
        Create(create, reason),
    ]


def _orphaned(obj: IPAddress, services: _Services, now: float) -> tuple[str, bool]:
    """Why an IPAddress is nobody's, "" if it is not; and whether that may pass."""
    parent, name = obj.spec.parentRef, obj.metadata.name
    if parent is None or parent.group or parent.resource != "services":
        return f"{name} does not refer to a Service", False
    created = _created(obj)
    service = services.get((parent.namespace, parent.name))
    if service is None:
        reason = f"{name} of Service {parent.namespace}/{parent.name} has leaked"
        return reason, now - created <= REQUEST
    if name in _texts(service):
        return "", False
    reason = f"{name} is none of Service {parent.namespace}/{parent.name}"
    if service.spec.type == "ExternalName":
        return reason, now - created < REQUEST
    newer = created > _created(service)
    return reason, newer and now - created < UNDOING


def _created(obj: IPAddress | Service) -> float:
    return time.parse(obj.metadata.creationTimestamp or "")


def _texts(service: Service) -> list[str]:
    spec = service.spec
    if spec.type == "ExternalName":
        return []
    return [text for text in spec.clusterIPs or [spec.clusterIP] if text not in ("", "None")]
