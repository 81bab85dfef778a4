"""The Endpoints object of a Service. Pure.

In: the Service, its pods, the object that is there. Out: the object as it should be, or None when
it is. Called by ``endpoints``. Upstream: pkg/controller/endpoint and pkg/api/v1/endpoints;
https://kubernetes.io/docs/concepts/services-networking/service/#endpoints. EndpointSlices replaced
this; it holds at most 1000 addresses.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Sequence

import msgspec

from trireme.api.core.v1.endpoints import (
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSubset,
)
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.references import ObjectReference
from trireme.api.core.v1.service import Service
from trireme.controllers.network import backends
from trireme.domain import pods
from trireme.machinery import meta

CAPACITY = 1000
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
LABEL_MANAGER = "endpoints.kubernetes.io/managed-by"
MANAGER = "endpoint-controller"

Port = tuple[str, int, str, str | None]
# (position in the sort order, is it ready, the address)
Placed = tuple[tuple[int, int, str], bool]


def plan(service: Service, selected: Sequence[Pod], there: Endpoints | None) -> Endpoints | None:
    """``selected``: the pods that the selector matches. The annotation with the time of the change
    is the caller's."""
    whole = subsets(service, selected)
    kept, truncated = truncate(whole)
    if there is None:
        metadata = meta.ObjectMeta(name=service.metadata.name, namespace=service.metadata.namespace)
        there = Endpoints(metadata=metadata)
        changed = True
    else:
        changed = False
    annotations = {k: v for k, v in there.metadata.annotations.items() if k != OVER_CAPACITY}
    if truncated:
        annotations[OVER_CAPACITY] = "truncated"
    metadata = msgspec.structs.replace(
        there.metadata, labels=labels(service), annotations=annotations
    )
    wanted = msgspec.structs.replace(there, metadata=metadata, subsets=kept)
    return wanted if changed or wanted != there else None


def labels(service: Service) -> dict[str, str]:
    """The Service's labels, and whose the object is."""
    own = {k: v for k, v in service.metadata.labels.items() if k != backends.LABEL_HEADLESS}
    headless = {backends.LABEL_HEADLESS: ""} if backends.is_headless(service) else {}
    return {**own, **headless, LABEL_MANAGER: MANAGER}


def subsets(service: Service, selected: Sequence[Pod]) -> list[EndpointSubset]:
    """Addresses by the ports that they serve: ports with the same addresses share a subset."""
    family = backends.families(service)[0]
    addresses: dict[tuple[int, int, str], EndpointAddress] = {}
    by_port: dict[Port | None, set[Placed]] = {}
    for pod in selected:
        ending = pod.metadata.deletionTimestamp is not None
        wants_all = service.spec.publishNotReadyAddresses
        found = backends.addresses(pod, family) if backends.answers(pod) else []
        if not found or (ending and not wants_all):
            continue
        ip = ipaddress.ip_address(found[0])
        place = (ip.version, int(ip), pod.metadata.uid)
        addresses[place] = _address(service, pod, found[0])
        for port in _ports(service, pod):
            by_port.setdefault(port, set()).add((place, wants_all or pods.is_ready(pod)))
    by_addresses: dict[frozenset[Placed], list[Port]] = {}
    for port, placed in by_port.items():
        ports = by_addresses.setdefault(frozenset(placed), [])
        if port is not None:
            ports.append(port)
    made = []
    for placed, ports in by_addresses.items():
        ready = sorted(place for place, is_ready in placed if is_ready)
        waiting = sorted(place for place, is_ready in placed if not is_ready)
        made.append(
            EndpointSubset(
                addresses=[addresses[place] for place in ready],
                notReadyAddresses=[addresses[place] for place in waiting],
                ports=[_port(port) for port in sorted(ports, key=lambda p: (p[0], p[1], p[2]))],
            )
        )
    return sorted(made, key=lambda s: [(port.name, port.port, port.protocol) for port in s.ports])


def truncate(whole: list[EndpointSubset]) -> tuple[list[EndpointSubset], bool]:
    """At most 1000 addresses, ready ones first, each subset its share; whether any was left out."""
    ready = sum(len(item.addresses) for item in whole)
    waiting = sum(len(item.notReadyAddresses) for item in whole)
    if ready + waiting <= CAPACITY:
        return whole, False
    full = ready > CAPACITY
    room, number = (CAPACITY, ready) if full else (CAPACITY - ready, waiting)
    left, kept = room, []
    for item in whole:
        cut = item.addresses if full else item.notReadyAddresses
        count = min(left, math.ceil(len(cut) / number * room))
        left -= min(count, len(cut))
        kept.append(
            msgspec.structs.replace(
                item,
                addresses=cut[:count] if full else item.addresses,
                notReadyAddresses=[] if full else cut[:count],
            )
        )
    return [item for item in kept if item.addresses or item.notReadyAddresses], True


def _ports(service: Service, pod: Pod) -> list[Port | None]:
    if not service.spec.ports:
        # A headless Service may have none; its addresses count all the same.
        return [None] if backends.is_headless(service) else []
    found: list[Port | None] = []
    for port in service.spec.ports:
        number = backends.port_number(pod, port)
        if number is not None:
            found.append((port.name, number, port.protocol, port.appProtocol))
    return found


def _port(port: Port) -> EndpointPort:
    name, number, protocol, app = port
    return EndpointPort(name=name, port=number, protocol=protocol, appProtocol=app)


def _address(service: Service, pod: Pod, ip: str) -> EndpointAddress:
    return EndpointAddress(
        ip=ip,
        hostname=backends.hostname(pod, service),
        nodeName=pod.spec.nodeName or None,
        targetRef=ObjectReference(
            kind="Pod",
            namespace=pod.metadata.namespace,
            name=pod.metadata.name,
            uid=pod.metadata.uid,
        ),
    )
