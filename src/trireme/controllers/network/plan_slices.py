"""The EndpointSlices of a Service: what to create, update and delete. Pure.

In: the Service, its pods, the zones of the nodes, the slices that are there. Out: actions, as few
as bring the slices in line: every change of a slice goes to every node. Called by
``endpointslice``. Rules: upstream staging/src/k8s.io/endpointslice;
https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import msgspec

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.references import ObjectReference
from trireme.api.core.v1.service import Service
from trireme.api.discovery.v1.endpointslice_types import (
    Endpoint,
    EndpointConditions,
    EndpointHints,
    EndpointPort,
    EndpointSlice,
    ForNode,
    ForZone,
)
from trireme.controllers.network import backends, plan_topology
from trireme.controllers.network.plan_topology import Hinted
from trireme.domain import owners, pods
from trireme.machinery import meta, names

LIMIT = 100
_NEAR = ("PreferClose", "PreferSameZone", "PreferSameNode")
LABEL_SERVICE = "kubernetes.io/service-name"
LABEL_MANAGER = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
_RESERVED = frozenset((LABEL_SERVICE, LABEL_MANAGER, backends.LABEL_HEADLESS))

Ports = tuple[tuple[str, int, str, str | None], ...]


class Create(msgspec.Struct, frozen=True):
    """Make this slice."""

    slice: EndpointSlice


class Update(msgspec.Struct, frozen=True):
    """Write this slice."""

    slice: EndpointSlice


class Delete(msgspec.Struct, frozen=True):
    """Delete the slice of this name."""

    name: str


Action = Create | Update | Delete


def plan(
    service: Service,
    selected: Sequence[Pod],
    zones: Mapping[str, str],
    slices: Sequence[EndpointSlice],
    limit: int = LIMIT,
) -> list[Action]:
    """``selected``: the pods that the selector matches. ``zones``: the zone of each node that is
    there, "" for none; pods of other nodes are left out, unless the Service wants every pod. With
    the annotation ``topology-mode`` the hints stay as they are: ``hint`` decides on them."""
    actions: list[Action] = []
    supported = backends.families(service)
    for family in supported:
        here = [item for item in slices if item.addressType == family]
        actions += _family(service, family, selected, zones, here, limit)
    actions += [Delete(s.metadata.name) for s in slices if s.addressType not in supported]
    return actions


def hint(
    service: Service,
    actions: Sequence[Action],
    slices: Sequence[EndpointSlice],
    shares: Mapping[str, float],
) -> tuple[list[Action], dict[str, Hinted]]:
    """The actions with hints by the ``shares`` of zones, and the outcome of each family."""
    written = {item.slice.metadata.name for item in actions if isinstance(item, Update)}
    gone = [item for item in actions if isinstance(item, Delete)]
    left_out = written | {item.name for item in gone}
    hinted: list[Action] = list(gone)
    outcomes: dict[str, Hinted] = {}
    for family in backends.families(service):
        changes = [
            item
            for item in actions
            if not isinstance(item, Delete) and item.slice.addressType == family
        ]
        unchanged = [
            item
            for item in slices
            if item.addressType == family and item.metadata.name not in left_out
        ]
        outcome = plan_topology.hint([item.slice for item in changes], unchanged, shares)
        made = outcome.slices
        hinted += [type(item)(made[position]) for position, item in enumerate(changes)]
        # One that gets the hints that it has is not written.
        hinted += [Update(item) for item in made[len(changes) :] if item not in unchanged]
        outcomes[family] = outcome
    return hinted, outcomes


def _family(
    service: Service,
    family: str,
    selected: Sequence[Pod],
    zones: Mapping[str, str],
    slices: Sequence[EndpointSlice],
    limit: int,
) -> list[Action]:
    desired: dict[Ports, dict[Hashable, Endpoint]] = {}
    for pod in sorted(selected, key=lambda item: item.metadata.name):
        node = pod.spec.nodeName
        if not backends.answers(pod):
            continue
        if node not in zones and not service.spec.publishNotReadyAddresses:
            continue
        found = endpoint(service, pod, zones.get(node, ""), family)
        if found.addresses:
            desired.setdefault(ports_of(service, pod), {})[_identity(found)] = found
    there: dict[Ports, list[EndpointSlice]] = {}
    for item in sorted(slices, key=lambda s: s.metadata.name):
        there.setdefault(ports_in(item), []).append(item)
    draft = _Draft(service, family, limit)
    for ports, endpoints in desired.items():
        draft.fit(ports, endpoints, there.get(ports, []))
    for ports, unwanted in there.items():
        if ports not in desired:
            draft.deleted += unwanted
    return draft.finish(len(slices))


class _Draft:
    """The desired slices of one address family."""

    def __init__(self, service: Service, family: str, limit: int) -> None:
        self._service = service
        self._family = family
        self._limit = limit
        self._keep_hints = has_topology_mode(service)
        self.created: list[EndpointSlice] = []
        self.updated: list[EndpointSlice] = []
        self.deleted: list[EndpointSlice] = []

    def fit(
        self, ports: Ports, desired: dict[Hashable, Endpoint], slices: list[EndpointSlice]
    ) -> None:
        """Place the endpoints of one set of ports: each where it is; new ones into slices that
        change anyhow, the fullest first; then into one that has just room; then into new ones."""
        left = dict(desired)
        changed: list[EndpointSlice] = []
        unchanged: list[EndpointSlice] = []
        for item in slices:
            kept = [
                self._hinted(left.pop(_identity(e)), e)
                for e in item.endpoints
                if _identity(e) in left
            ]
            same = kept == item.endpoints
            if not kept and item.endpoints:
                self.deleted.append(item)
            elif same and labels(self._service) == item.metadata.labels:
                unchanged.append(item)
            else:
                changed.append(self._with(item, kept))
        rest = list(left.values())
        for position, item in sorted(enumerate(changed), key=lambda p: -len(p[1].endpoints)):
            room = self._limit - len(item.endpoints)
            if rest and room > 0:
                changed[position] = self._with(item, [*item.endpoints, *rest[:room]])
                rest = rest[room:]
        while rest:
            target = self._with_room(unchanged, len(rest))
            if target is not None:
                unchanged.remove(target)
                changed.append(self._with(target, [*target.endpoints, *rest]))
                break
            self.created.append(self._new(ports, rest[: self._limit]))
            rest = rest[self._limit :]
        self.updated += changed

    def _hinted(self, desired: Endpoint, present: Endpoint) -> Endpoint:
        if self._keep_hints:
            return msgspec.structs.replace(desired, hints=present.hints)
        return desired

    def finish(self, before: int) -> list[Action]:
        """The actions. A Service always has a slice, even an empty one; a slice that would be
        deleted is reused for one to be created."""
        if before == len(self.deleted) and not self.created:
            empty = self._new((), [])
            if len(self.deleted) == 1 and self._is_placeholder(self.deleted[0]):
                self.deleted = []
            else:
                self.created.append(empty)
        reusable = [s for s in self.deleted if owners.controls(self._service, s.metadata)]
        for old in reusable[: len(self.created)]:
            fresh = self.created.pop()
            self.deleted.remove(old)
            self.updated.append(
                msgspec.structs.replace(self._with(old, fresh.endpoints), ports=fresh.ports)
            )
        return [
            *map(Create, self.created),
            *map(Update, self.updated),
            *(Delete(item.metadata.name) for item in self.deleted),
        ]

    def _with_room(self, slices: list[EndpointSlice], count: int) -> EndpointSlice | None:
        """The slice that is fullest with ``count`` more."""
        fitting = [s for s in slices if len(s.endpoints) + count <= self._limit]
        if count >= self._limit:
            return None
        return max(fitting, key=lambda s: len(s.endpoints), default=None)

    def _with(self, item: EndpointSlice, endpoints: list[Endpoint]) -> EndpointSlice:
        metadata = msgspec.structs.replace(item.metadata, labels=labels(self._service))
        return msgspec.structs.replace(item, metadata=metadata, endpoints=endpoints)

    def _is_placeholder(self, item: EndpointSlice) -> bool:
        return (
            not item.endpoints
            and not item.ports
            and item.metadata.labels == labels(self._service)
            and owners.controls(self._service, item.metadata)
        )

    def _new(self, ports: Ports, endpoints: list[Endpoint]) -> EndpointSlice:
        metadata = meta.ObjectMeta(
            generateName=name_prefix(self._service.metadata.name),
            namespace=self._service.metadata.namespace,
            labels=labels(self._service),
            ownerReferences=[owners.reference(self._service)],
        )
        return EndpointSlice(
            metadata=metadata,
            addressType=self._family,
            endpoints=endpoints,
            ports=[
                EndpointPort(name=label, port=number, protocol=protocol, appProtocol=app)
                for label, number, protocol, app in ports
            ],
        )


def name_prefix(name: str) -> str:
    """What the names of a Service's slices begin with; without the dash where it is too long."""
    prefix = f"{name}-"
    return name if names.is_dns1123_subdomain(names.mask_trailing_dash(prefix)) else prefix


def labels(service: Service) -> dict[str, str]:
    """The labels of the Service's slices: the Service's, and those of Service and controller."""
    own = {k: v for k, v in service.metadata.labels.items() if k not in _RESERVED}
    headless = {backends.LABEL_HEADLESS: ""} if backends.is_headless(service) else {}
    return {**own, **headless, LABEL_SERVICE: service.metadata.name, LABEL_MANAGER: MANAGER}


def endpoint(service: Service, pod: Pod, zone: str, family: str) -> Endpoint:
    """The endpoint of a pod."""
    serving, terminating = pods.is_ready(pod), pod.metadata.deletionTimestamp is not None
    ready = service.spec.publishNotReadyAddresses or (serving and not terminating)
    return Endpoint(
        addresses=backends.addresses(pod, family),
        conditions=EndpointConditions(ready=ready, serving=serving, terminating=terminating),
        hostname=backends.hostname(pod, service) or None,
        targetRef=ObjectReference(
            kind="Pod",
            namespace=pod.metadata.namespace,
            name=pod.metadata.name,
            uid=pod.metadata.uid,
        ),
        nodeName=pod.spec.nodeName or None,
        zone=zone or None,
        hints=hints(service, pod.spec.nodeName, zone) if ready else None,
    )


def hints(service: Service, node: str, zone: str) -> EndpointHints | None:
    """Topology hints: the endpoint's zone, or its node, by ``trafficDistribution``. The annotation
    ``topology-mode`` switches this off."""
    distribution = service.spec.trafficDistribution
    if distribution not in _NEAR or has_topology_mode(service):
        return None
    zones = [ForZone(name=zone)] if zone else []
    nodes = [ForNode(name=node)] if node and distribution == "PreferSameNode" else []
    return EndpointHints(forZones=zones, forNodes=nodes) if zones or nodes else None


def has_topology_mode(service: Service) -> bool:
    """Whether the Service wants hints by the capacity of zones (``hint``)."""
    annotations = service.metadata.annotations
    new = annotations.get("service.kubernetes.io/topology-mode", "")
    return annotations.get("service.kubernetes.io/topology-aware-hints", new) in ("Auto", "auto")


def ports_of(service: Service, pod: Pod) -> Ports:
    """The ports at which the pod serves the Service: pods may differ in what a name stands for."""
    found = []
    for port in service.spec.ports:
        number = backends.port_number(pod, port)
        if number is not None:
            found.append((port.name, number, port.protocol, port.appProtocol))
    return tuple(found)


def ports_in(item: EndpointSlice) -> Ports:
    return tuple(
        (port.name or "", port.port or 0, port.protocol or "TCP", port.appProtocol)
        for port in item.ports
    )


def _identity(item: Endpoint) -> Hashable:
    """The identity of an endpoint, without its conditions."""
    target = item.targetRef
    whose = (target.namespace, target.name, target.uid) if target is not None else ()
    return (tuple(item.addresses), item.hostname, item.nodeName, item.zone, whose)
