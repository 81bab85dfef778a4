"""Topology hints by the capacity of zones: the annotation ``service.kubernetes.io/topology-mode``.

Each zone is to get as large a share of the endpoints as it has of the nodes' CPUs; an endpoint is
hinted to its own zone, or to one that has too few. Pure. In: ready nodes, the slices as they will
be. Out: their hints, or why there are none. Called by ``endpointslice``. Upstream:
staging/src/k8s.io/endpointslice/topologycache; KEP-2433.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from trireme.api.core.v1.node_types import Node
from trireme.api.discovery.v1.endpointslice_types import (
    Endpoint,
    EndpointHints,
    EndpointSlice,
    ForZone,
)
from trireme.controllers.network import backends
from trireme.machinery import quantity

# The share that a zone's endpoints may be given above theirs.
OVERLOAD: Final = 0.2
_CONTROL_PLANE: Final = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


class Hinted(NamedTuple):
    """``slices`` with their hints, those that stay as they are left out. ``by_zone``: how many
    endpoints each zone has; ``problem``: why there are no hints, "" when there are."""

    slices: list[EndpointSlice]
    by_zone: dict[str, int]
    problem: str


class _Allocation(NamedTuple):
    """How many endpoints a zone is to have."""

    minimum: int
    maximum: int
    desired: float


def ratios(nodes: Iterable[Node]) -> dict[str, float]:
    """Each zone's share of the CPUs of ready nodes. Empty where there are fewer than two zones, or
    a node's zone or CPUs are not known."""
    by_zone: dict[str, int] = {}
    for node in nodes:
        if any(label in node.metadata.labels for label in _CONTROL_PLANE) or not is_ready(node):
            continue
        zone = node.metadata.labels.get(backends.ZONE, "")
        cpus = _millis(node)
        if not zone or not cpus:
            return {}
        by_zone[zone] = by_zone.get(zone, 0) + cpus
    if len(by_zone) < 2:
        return {}
    total = sum(by_zone.values())
    return {zone: by_zone[zone] / total for zone in sorted(by_zone)}


def is_ready(node: Node) -> bool:
    """Whether the node's condition Ready is true."""
    return any(item.type == "Ready" and item.status == "True" for item in node.status.conditions)


def _millis(node: Node) -> int:
    text = node.status.allocatable.get("cpu")
    return quantity.parse(text).milli_value() if text is not None else 0


def is_overloaded(by_zone: Mapping[str, int], shares: Mapping[str, float]) -> bool:
    """Whether a zone has too few endpoints for its share."""
    if not by_zone:
        return False
    if not shares:
        return True
    total = sum(by_zone.values())
    return any(by_zone.get(zone, -1) < _minimum(total * share) for zone, share in shares.items())


def _minimum(desired: float) -> int:
    return math.ceil(desired * (1 / (1 + OVERLOAD)))


def hint(
    changed: Sequence[EndpointSlice],
    unchanged: Sequence[EndpointSlice],
    shares: Mapping[str, float],
) -> Hinted:
    """Hints for the slices of one Service and address type. ``changed`` will be written anyhow;
    ``unchanged`` are as stored, and stay so where their hints still do."""
    total = sum(_is_ready(item) for slice_ in (*changed, *unchanged) for item in slice_.endpoints)
    allocations = _allocate(total, shares)
    if isinstance(allocations, str):
        return _without(changed, unchanged, allocations)
    by_zone: dict[str, int] = {}
    slices = list(changed)
    kept: list[EndpointSlice] = []
    for slice_ in unchanged:
        zones = _zones(slice_, by_zone, allocations)
        if zones is None:
            slices.append(slice_)
            continue
        kept.append(slice_)
        for zone, count in zones.items():
            by_zone[zone] = by_zone.get(zone, 0) + count
    ready = [item for slice_ in slices for item in slice_.endpoints if _is_ready(item)]
    if any(not item.zone for item in ready):
        problem = "One or more endpoints do not have a zone specified"
        return _without(slices, kept, problem)
    for item in ready:
        zone = item.zone or ""
        by_zone[zone] = by_zone.get(zone, 0) + 1
    giving, receiving = _transfers(allocations, by_zone)
    hinted = [_redistribute(slice_, giving, receiving, by_zone) for slice_ in slices]
    if not by_zone:
        return _without(slices, kept, "No hints allocated for zones")
    return Hinted(hinted, by_zone, "")


def _allocate(total: int, shares: Mapping[str, float]) -> dict[str, _Allocation] | str:
    """What each zone is to have, or why that cannot be."""
    if not shares:
        return (
            "Insufficient Node information: allocatable CPU or zone not specified on one or more"
            " nodes"
        )
    counts = f"({total} endpoints, {len(shares)} zones)"
    if len(shares) > total:
        return f"Insufficient number of endpoints {counts}"
    minima = {zone: _minimum(share * total) for zone, share in shares.items()}
    spare = total - sum(minima.values())
    if spare < 0:
        return (
            "Unable to allocate minimum required endpoints to each zone without exceeding overload"
            f" threshold {counts}"
        )
    return {
        zone: _Allocation(minimum, minimum + spare, max(shares[zone] * total, float(minimum)))
        for zone, minimum in minima.items()
    }


def _zones(
    slice_: EndpointSlice, by_zone: Mapping[str, int], allocations: Mapping[str, _Allocation]
) -> dict[str, int] | None:
    """How many endpoints the slice hints to each zone; None where it cannot stay so."""
    found: dict[str, int] = {}
    for item in slice_.endpoints:
        if not _is_ready(item):
            continue
        if item.hints is None or not item.hints.forZones:
            return None
        for zone in item.hints.forZones:
            found[zone.name] = found.get(zone.name, 0) + 1
    for name, count in found.items():
        allocation = allocations.get(name)
        if allocation is None or count + by_zone.get(name, 0) > allocation.maximum:
            return None
    return found


def _transfers(
    allocations: Mapping[str, _Allocation], by_zone: Mapping[str, int]
) -> tuple[dict[str, int], dict[str, int]]:
    """How many endpoints each zone gives to others, and how many it receives."""
    surplus = {zone: by_zone.get(zone, 0) - item.desired for zone, item in allocations.items()}
    giving: dict[str, int] = {}
    receiving: dict[str, int] = {}
    while True:
        giver = max(surplus, key=lambda zone: surplus[zone])
        receiver = min(surplus, key=lambda zone: surplus[zone])
        gives, receives = surplus[giver], -surplus[receiver]
        if (gives < 1.0 and receives < 1.0) or gives < 0.5 or receives < 0.5:
            return giving, receiving
        giving[giver] = giving.get(giver, 0) + 1
        receiving[receiver] = receiving.get(receiver, 0) + 1
        surplus[giver] -= 1
        surplus[receiver] += 1


def _redistribute(
    slice_: EndpointSlice,
    giving: dict[str, int],
    receiving: dict[str, int],
    by_zone: dict[str, int],
) -> EndpointSlice:
    """The slice with each ready endpoint hinted to its zone, or to one that receives."""
    endpoints = []
    for item in slice_.endpoints:
        if not _is_ready(item):
            endpoints.append(replace(item, hints=None))
            continue
        zone = item.zone or ""
        if giving.get(zone):
            to = next((name for name in sorted(receiving) if receiving[name]), zone)
            if to != zone:
                giving[zone] -= 1
                receiving[to] -= 1
                by_zone[zone] -= 1
                by_zone[to] = by_zone.get(to, 0) + 1
                zone = to
        endpoints.append(replace(item, hints=EndpointHints(forZones=[ForZone(name=zone)])))
    return replace(slice_, endpoints=endpoints)


def _without(
    changed: Sequence[EndpointSlice], unchanged: Sequence[EndpointSlice], problem: str
) -> Hinted:
    """No hints in any slice."""
    slices = [*changed, *(s for s in unchanged if any(item.hints for item in s.endpoints))]
    bare = [
        replace(slice_, endpoints=[replace(item, hints=None) for item in slice_.endpoints])
        for slice_ in slices
    ]
    return Hinted(bare, {}, problem)


def _is_ready(item: Endpoint) -> bool:
    return item.conditions.ready is True
