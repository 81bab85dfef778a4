"""The EndpointSlices that mirror Endpoints made by users. Pure.

In: the Endpoints, the slices that mirror them. Out: actions, and what could not be mirrored. Called
by ``endpointslicemirroring``. Each set of ports and each address family has one slice. Upstream:
pkg/controller/endpointslicemirroring;
https://kubernetes.io/docs/concepts/services-networking/service/#endpointslice-mirroring.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import msgspec

from trireme.api.core.v1.endpoints import EndpointAddress, EndpointPort, Endpoints
from trireme.api.discovery.v1 import endpointslice_types as discovery_types
from trireme.api.discovery.v1.endpointslice_types import Endpoint, EndpointConditions, EndpointSlice
from trireme.controllers.network import backends, plan_slices, repack
from trireme.controllers.network.plan_slices import Action, Create, Delete, Update
from trireme.domain import owners
from trireme.machinery import meta, names

LIMIT = 1000
MANAGER = "endpointslicemirroring-controller.k8s.io"
LABEL_SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER_ELECTION = "control-plane.alpha.kubernetes.io/leader"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_OWN_LABELS = frozenset((plan_slices.LABEL_SERVICE, plan_slices.LABEL_MANAGER))

_Endpoints = dict[tuple[str, str | None, str, str], Endpoint]
# The address family and the ports.
_Key = tuple[str, frozenset[tuple[str, int, str, str | None]]]


class Mirrored(msgspec.Struct, frozen=True):
    """``actions`` to take; how many addresses are left out: ``invalid`` ones, and ``skipped`` ones
    that are too many for a slice."""

    actions: list[Action]
    invalid: int = 0
    skipped: int = 0


def mirrors(endpoints: Endpoints) -> bool:
    """Whether Endpoints are mirrored, if their Service has no selector: not with the label
    ``skip-mirror``, nor where they are the lock of a leader election."""
    metadata = endpoints.metadata
    skip = metadata.labels.get(LABEL_SKIP) == "true"
    return not skip and LEADER_ELECTION not in metadata.annotations


def plan(endpoints: Endpoints, slices: Sequence[EndpointSlice], limit: int = LIMIT) -> Mirrored:
    """What brings ``slices`` in line. At most ``limit`` addresses of a subset are mirrored, the
    ready ones first."""
    desired: dict[_Key, tuple[list[EndpointPort], _Endpoints]] = {}
    invalid = skipped = 0
    for subset in repack.repack(endpoints.subsets):
        room = limit
        candidates = [(item, True) for item in subset.addresses]
        candidates += [(item, False) for item in subset.notReadyAddresses]
        for address, ready in candidates:
            if not room:
                skipped += 1
                continue
            family, endpoint = _endpoint(address, ready)
            if endpoint is None:
                invalid += 1
                continue
            room -= 1
            _, found = desired.setdefault(_key(family, subset.ports), (subset.ports, {}))
            found[_identity(endpoint)] = endpoint
    actions = _actions(endpoints, desired, slices, limit)
    return Mirrored(actions, invalid, skipped)


def _actions(
    endpoints: Endpoints,
    desired: dict[_Key, tuple[list[EndpointPort], _Endpoints]],
    slices: Sequence[EndpointSlice],
    limit: int,
) -> list[Action]:
    there: dict[_Key, list[EndpointSlice]] = {}
    for item in sorted(slices, key=lambda found: found.metadata.name):
        there.setdefault(_key(item.addressType, item.ports), []).append(item)
    created: list[EndpointSlice] = []
    updated: list[EndpointSlice] = []
    deleted: list[EndpointSlice] = []
    for key, (ports, found) in desired.items():
        fresh = _slice(endpoints, key[0], ports, list(found.values())[:limit])
        present = there.pop(key, [])
        deleted += present[1:]
        if not present:
            created.append(fresh)
        elif not _is_same(endpoints, present[0], fresh):
            updated.append(_over(present[0], fresh))
    for unwanted in there.values():
        deleted += unwanted
    # A slice that would be deleted is reused for one to be created.
    for fresh in list(created):
        spare = next((item for item in deleted if item.addressType == fresh.addressType), None)
        if spare is not None:
            created.remove(fresh)
            deleted.remove(spare)
            updated.append(_over(spare, fresh))
    return [
        *map(Create, created),
        *map(Update, updated),
        *(Delete(item.metadata.name) for item in deleted),
    ]


def _is_same(endpoints: Endpoints, old: EndpointSlice, fresh: EndpointSlice) -> bool:
    """Whether a slice is up to date and belongs to these Endpoints, by uid."""
    by_identity = {_identity(item): item for item in old.endpoints}
    return (
        by_identity == {_identity(item): item for item in fresh.endpoints}
        and old.metadata.labels == fresh.metadata.labels
        and old.metadata.annotations == fresh.metadata.annotations
        and not any(
            (item.kind, item.name) == ("Endpoints", endpoints.metadata.name)
            and item.uid != endpoints.metadata.uid
            for item in old.metadata.ownerReferences
        )
    )


def _over(old: EndpointSlice, fresh: EndpointSlice) -> EndpointSlice:
    """The new content under the old name; written as the old one was read."""
    metadata = msgspec.structs.replace(
        old.metadata,
        labels=fresh.metadata.labels,
        annotations=fresh.metadata.annotations,
        ownerReferences=fresh.metadata.ownerReferences,
    )
    return msgspec.structs.replace(fresh, metadata=metadata)


def _slice(
    endpoints: Endpoints, family: str, ports: list[EndpointPort], found: list[Endpoint]
) -> EndpointSlice:
    source = endpoints.metadata
    labels = {k: v for k, v in source.labels.items() if k not in _OWN_LABELS}
    left_out = (backends.TRIGGER_TIME, _LAST_APPLIED)
    return EndpointSlice(
        metadata=meta.ObjectMeta(
            generateName=plan_slices.name_prefix(source.name),
            namespace=source.namespace,
            labels={
                **labels,
                plan_slices.LABEL_SERVICE: source.name,
                plan_slices.LABEL_MANAGER: MANAGER,
            },
            annotations={k: v for k, v in source.annotations.items() if k not in left_out},
            ownerReferences=[owners.reference(endpoints)],
        ),
        addressType=family,
        endpoints=found,
        ports=[
            discovery_types.EndpointPort(
                name=port.name,
                port=port.port,
                protocol=port.protocol,
                appProtocol=port.appProtocol,
            )
            for port in ports
        ],
    )


def _endpoint(address: EndpointAddress, ready: bool) -> tuple[str, Endpoint | None]:
    """The family and the endpoint of an address; None where it is no IP address."""
    parsed = names.parse_ip_sloppy(address.ip)
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if parsed is None:
        return "", None
    return f"IPv{parsed.version}", Endpoint(
        addresses=[str(parsed)],
        conditions=EndpointConditions(ready=ready),
        hostname=address.hostname or None,
        targetRef=address.targetRef,
        nodeName=address.nodeName,
    )


def _identity(item: Endpoint) -> tuple[str, str | None, str, str]:
    target = item.targetRef
    whose = (target.namespace, target.name) if target is not None else ("", "")
    return item.addresses[0], item.hostname or None, *whose


def _key(family: str, ports: Sequence[EndpointPort | discovery_types.EndpointPort]) -> _Key:
    return family, frozenset(
        (port.name or "", port.port or 0, port.protocol or "TCP", port.appProtocol)
        for port in ports
    )
