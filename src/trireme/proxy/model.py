"""Service ports with the endpoints that serve them on this node. Pure.

In: Services and EndpointSlices from informers' events. Out: ``ServicePort`` values, computed again
only for Services that changed. Rules: https://kubernetes.io/docs/reference/networking/
virtual-ips/; KEP-1669 (terminating endpoints), KEP-2086 (internal traffic policy).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from trireme.api.core.v1.service import Service
from trireme.api.discovery.v1.endpointslice_types import EndpointSlice

SERVICE_LABEL = "kubernetes.io/service-name"
OTHER_PROXY = "service.kubernetes.io/service-proxy-name"
HEADLESS = "service.kubernetes.io/headless"
DEFAULT_AFFINITY = 10800
Key = tuple[str, str]


class Endpoint(msgspec.Struct, frozen=True, order=True):
    """An endpoint of a Service port."""

    address: str
    port: int
    local: bool
    ready: bool
    serving: bool
    terminating: bool
    nodes: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()


class ServicePort(msgspec.Struct, frozen=True):
    """One port of a Service, with the endpoints that take its traffic here.

    ``cluster`` serves traffic by the policy Cluster, ``local`` by the policy Local. ``any`` says
    whether there is an endpoint on any node: traffic is dropped if so, else rejected. At
    ``health_port``, where it is not 0, load balancers ask for the Service's local endpoints.
    """

    namespace: str
    name: str
    port_name: str
    protocol: str
    cluster_ip: str
    port: int
    node_port: int
    external_ips: tuple[str, ...]
    load_balancer_ips: tuple[str, ...]
    source_ranges: tuple[str, ...]
    affinity: int
    internal_local: bool
    external_local: bool
    cluster: tuple[Endpoint, ...]
    local: tuple[Endpoint, ...]
    any: bool
    health_port: int = 0


class Model:
    """All Service ports of one node. Changes take effect in ``update``."""

    def __init__(self, node: str, zone: str = "", family: str = "IPv4") -> None:
        self._node = node
        self._zone = zone
        self._family = family
        self._services: dict[Key, Service] = {}
        self._slices: dict[Key, dict[str, EndpointSlice]] = {}
        self._owner: dict[Key, Key] = {}
        self._changed: set[Key] = set()
        self._ports: dict[Key, tuple[ServicePort, ...]] = {}

    def set_service(self, service: Service) -> None:
        """A Service is new or has changed."""
        key = (service.metadata.namespace, service.metadata.name)
        self._services[key] = service
        self._changed.add(key)

    def drop_service(self, namespace: str, name: str) -> None:
        """A Service has gone."""
        self._services.pop((namespace, name), None)
        self._changed.add((namespace, name))

    def set_slice(self, slice_: EndpointSlice) -> None:
        """An EndpointSlice is new or has changed."""
        meta = slice_.metadata
        self.drop_slice(meta.namespace, meta.name)
        service = meta.labels.get(SERVICE_LABEL)
        if not service or slice_.addressType != self._family:
            return
        owner = (meta.namespace, service)
        self._slices.setdefault(owner, {})[meta.name] = slice_
        self._owner[meta.namespace, meta.name] = owner
        self._changed.add(owner)

    def drop_slice(self, namespace: str, name: str) -> None:
        """An EndpointSlice has gone."""
        owner = self._owner.pop((namespace, name), None)
        if owner is not None:
            self._slices[owner].pop(name, None)
            if not self._slices[owner]:
                del self._slices[owner]
            self._changed.add(owner)

    def update(self) -> dict[Key, tuple[ServicePort, ...]]:
        """The Services that changed since the last call, each with its ports; none when gone."""
        changed, self._changed = self._changed, set()
        result = {}
        for key in sorted(changed):
            service = self._services.get(key)
            ports = () if service is None else tuple(self._ports_of(service, key))
            if ports != self._ports.get(key, ()):
                result[key] = ports
                self._ports[key] = ports
        return result

    def all(self) -> dict[Key, tuple[ServicePort, ...]]:
        """Every Service with its ports, as of the last update."""
        return self._ports

    def _ports_of(self, service: Service, key: Key) -> Iterable[ServicePort]:
        spec, meta = service.spec, service.metadata
        if spec.type == "ExternalName" or OTHER_PROXY in meta.labels:
            return
        addresses = [ip for ip in (spec.clusterIPs or [spec.clusterIP]) if self._mine(ip)]
        if not addresses:
            return
        slices = list(self._slices.get(key, {}).values())
        affinity = 0
        if spec.sessionAffinity == "ClientIP":
            config = spec.sessionAffinityConfig
            client = config.clientIP if config is not None else None
            affinity = (client.timeoutSeconds if client else None) or DEFAULT_AFFINITY
        ingress = service.status.loadBalancer.ingress
        for port in spec.ports:
            endpoints = self._endpoints(slices, port.name, port.protocol)
            yield ServicePort(
                namespace=meta.namespace,
                name=meta.name,
                port_name=port.name,
                protocol=port.protocol.lower(),
                cluster_ip=addresses[0],
                port=port.port,
                node_port=port.nodePort if spec.type in ("NodePort", "LoadBalancer") else 0,
                external_ips=tuple(ip for ip in spec.externalIPs if self._mine(ip)),
                load_balancer_ips=tuple(
                    item.ip
                    for item in ingress
                    if item.ip and self._mine(item.ip) and item.ipMode != "Proxy"
                ),
                source_ranges=tuple(item.strip() for item in spec.loadBalancerSourceRanges),
                affinity=affinity,
                internal_local=spec.internalTrafficPolicy == "Local",
                external_local=spec.externalTrafficPolicy == "Local",
                health_port=_health_port(service),
                cluster=choose_cluster(endpoints, self._node, self._zone),
                local=choose_local(endpoints),
                any=any(item.ready or (item.serving and item.terminating) for item in endpoints),
            )

    def _endpoints(
        self, slices: list[EndpointSlice], name: str, protocol: str
    ) -> tuple[Endpoint, ...]:
        found: dict[tuple[str, int], Endpoint] = {}
        for slice_ in slices:
            for port in slice_.ports:
                if (port.name or "") != name or (port.protocol or "TCP") != protocol:
                    continue
                for item in slice_.endpoints:
                    if not item.addresses or port.port is None:
                        continue
                    ready = item.conditions.ready is not False
                    serving = item.conditions.serving
                    hints = item.hints
                    endpoint = Endpoint(
                        address=item.addresses[0],
                        port=port.port,
                        local=item.nodeName == self._node,
                        ready=ready,
                        serving=ready if serving is None else serving,
                        terminating=item.conditions.terminating is True,
                        nodes=tuple(n.name for n in hints.forNodes) if hints else (),
                        zones=tuple(z.name for z in hints.forZones) if hints else (),
                    )
                    found[endpoint.address, endpoint.port] = endpoint
        return tuple(sorted(found.values()))

    def _mine(self, address: str) -> bool:
        return bool(address) and address != "None" and (":" in address) == (self._family == "IPv6")


def _health_port(service: Service) -> int:
    spec = service.spec
    asked = spec.type == "LoadBalancer" and spec.externalTrafficPolicy == "Local"
    return spec.healthCheckNodePort if asked else 0


def choose_cluster(endpoints: tuple[Endpoint, ...], node: str, zone: str) -> tuple[Endpoint, ...]:
    """The endpoints for the policy Cluster: ready ones, by topology hints, else terminating
    ones."""
    ready = tuple(item for item in endpoints if item.ready)
    if not ready:
        return tuple(item for item in endpoints if item.serving and item.terminating)
    if all(item.nodes for item in ready):
        here = tuple(item for item in ready if node in item.nodes)
        if here:
            return here
    if zone and all(item.zones for item in ready):
        near = tuple(item for item in ready if zone in item.zones)
        if near:
            return near
    return ready


def choose_local(endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """The endpoints for the policy Local: those on this node, ready or else terminating."""
    here = tuple(item for item in endpoints if item.local)
    ready = tuple(item for item in here if item.ready)
    return ready or tuple(item for item in here if item.serving and item.terminating)
