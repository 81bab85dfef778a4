"""The Endpoints object of a Service. Pure.

In: the Service, its pods, the observed object. Out: the desired object, or None when it is up to
date. Called by ``endpoints``. Upstream: pkg/controller/endpoint and pkg/api/v1/endpoints;
https://kubernetes.io/docs/concepts/services-networking/service/#endpoints. EndpointSlices replaced
this; it holds at most 1000 addresses.
"""

from __future__ import annotations

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
from trireme.controllers.network import backends, repack
from trireme.domain import pods
from trireme.machinery import meta

CAPACITY = 1000
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
LABEL_MANAGER = "endpoints.kubernetes.io/managed-by"
MANAGER = "endpoint-controller"


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
    desired = msgspec.structs.replace(there, metadata=metadata, subsets=kept)
    return desired if changed or desired != there else None


def labels(service: Service) -> dict[str, str]:
    """The Service's labels, and the one that names this controller."""
    own = {k: v for k, v in service.metadata.labels.items() if k != backends.LABEL_HEADLESS}
    headless = {backends.LABEL_HEADLESS: ""} if backends.is_headless(service) else {}
    return {**own, **headless, LABEL_MANAGER: MANAGER}


def subsets(service: Service, selected: Sequence[Pod]) -> list[EndpointSubset]:
    """Addresses by the ports that they serve."""
    family = backends.families(service)[0]
    found = []
    for pod in selected:
        ending = pod.metadata.deletionTimestamp is not None
        publish_not_ready = service.spec.publishNotReadyAddresses
        texts = backends.addresses(pod, family) if backends.answers(pod) else []
        ports = _ports(service, pod)
        if not texts or ports is None or (ending and not publish_not_ready):
            continue
        address = [_address(service, pod, texts[0])]
        if publish_not_ready or pods.is_ready(pod):
            found.append(EndpointSubset(addresses=address, ports=ports))
        else:
            found.append(EndpointSubset(notReadyAddresses=address, ports=ports))
    return repack.repack(found)


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


def _ports(service: Service, pod: Pod) -> list[EndpointPort] | None:
    """The pod's ports that the Service names; None where it has none of them."""
    if not service.spec.ports and backends.is_headless(service):
        # A Service without ports still has addresses.
        return []
    found = []
    for port in service.spec.ports:
        number = backends.port_number(pod, port)
        if number is not None:
            found.append(
                EndpointPort(
                    name=port.name,
                    port=number,
                    protocol=port.protocol,
                    appProtocol=port.appProtocol,
                )
            )
    return found or None


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
