"""The names of the cluster's zone: Services, their endpoints, namespaces. Pure.

In: objects from informers' events. Out: look-ups for ``answer``. A change replaces the entry of one
Service or one slice, nothing is rebuilt. Rules: the Kubernetes DNS specification 1.1.0,
https://github.com/kubernetes/dns/blob/master/docs/specification.md.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from trireme.api.core.v1.service import Service
from trireme.api.discovery.v1.endpointslice_types import EndpointSlice

SERVICE_LABEL = "kubernetes.io/service-name"
NO_ADDRESS = "None"
Key = tuple[str, str]


class Port(msgspec.Struct, frozen=True):
    """A named or unnamed port; ``protocol`` is lower case."""

    name: str
    protocol: str
    number: int


class Backend(msgspec.Struct, frozen=True):
    """One endpoint of a headless Service. ``host``: its label below the Service's name."""

    address: str
    host: str
    ports: tuple[Port, ...]
    ready: bool
    named: bool


class Named(msgspec.Struct, frozen=True):
    """The fields of a Service that DNS needs. ``addresses`` is empty for a headless one."""

    namespace: str
    name: str
    addresses: tuple[str, ...]
    ports: tuple[Port, ...]
    external: str
    headless: bool
    publishes_unready: bool


class Zone:
    """The names of one cluster domain."""

    def __init__(self, domain: str) -> None:
        self.domain = domain.strip(".").lower()
        self._services: dict[Key, Named] = {}
        self._by_address: dict[str, Key] = {}
        self._slices: dict[Key, dict[str, tuple[Backend, ...]]] = {}
        self._slice_owner: dict[Key, Key] = {}
        # For each endpoint's address, its host in each slice that has it.
        self._hosts: dict[str, dict[Key, str]] = {}
        self._namespaces: set[str] = set()

    def set_namespace(self, name: str, present: bool) -> None:
        """A namespace was added or deleted."""
        if present:
            self._namespaces.add(name)
        else:
            self._namespaces.discard(name)

    def has_namespace(self, name: str) -> bool:
        return name in self._namespaces

    def set_service(self, service: Service) -> None:
        """A Service is new or has changed."""
        named = _named(service)
        key = (named.namespace, named.name)
        self.drop_service(*key)
        self._services[key] = named
        for address in named.addresses:
            self._by_address[address] = key

    def drop_service(self, namespace: str, name: str) -> None:
        """A Service has gone."""
        known = self._services.pop((namespace, name), None)
        for address in known.addresses if known is not None else ():
            self._by_address.pop(address, None)

    def set_slice(self, endpoints: EndpointSlice) -> None:
        """An EndpointSlice is new or has changed."""
        meta = endpoints.metadata
        self.drop_slice(meta.namespace, meta.name)
        service = meta.labels.get(SERVICE_LABEL, "")
        if not service or endpoints.addressType not in ("IPv4", "IPv6"):
            return
        owner = (meta.namespace, service)
        backends = tuple(_backends(endpoints))
        self._slices.setdefault(owner, {})[meta.name] = backends
        self._slice_owner[meta.namespace, meta.name] = owner
        for backend in backends:
            hosts = self._hosts.setdefault(backend.address, {})
            hosts[meta.namespace, meta.name] = backend.host

    def drop_slice(self, namespace: str, name: str) -> None:
        """An EndpointSlice has gone."""
        owner = self._slice_owner.pop((namespace, name), None)
        if owner is not None:
            slices = self._slices[owner]
            for backend in slices.pop(name):
                hosts = self._hosts[backend.address]
                hosts.pop((namespace, name), None)
                if not hosts:
                    del self._hosts[backend.address]
            if not slices:
                del self._slices[owner]

    def service(self, namespace: str, name: str) -> Named | None:
        return self._services.get((namespace, name))

    def backends(self, service: Named) -> list[Backend]:
        """The endpoints with DNS records, in a fixed order and each address once."""
        found: dict[str, Backend] = {}
        for _, backends in sorted(self._slices.get((service.namespace, service.name), {}).items()):
            for backend in backends:
                if backend.ready or service.publishes_unready:
                    found.setdefault(backend.address, backend)
        return list(found.values())

    def by_address(self, address: str) -> list[str]:
        """The names of an address, without the domain: a Service's, or those of endpoints."""
        key = self._by_address.get(address)
        if key is not None:
            return [f"{key[1]}.{key[0]}.svc"]
        names = set()
        for slice_key, host in self._hosts.get(address, {}).items():
            namespace, name = self._slice_owner[slice_key]
            service = self._services.get((namespace, name))
            if service is not None and not service.external:
                names.add(f"{host}.{name}.{namespace}.svc")
        return sorted(names)


def _named(service: Service) -> Named:
    spec = service.spec
    addresses = [item for item in (spec.clusterIPs or [spec.clusterIP]) if item]
    headless = addresses == [NO_ADDRESS]
    external = spec.externalName if spec.type == "ExternalName" else ""
    return Named(
        namespace=service.metadata.namespace,
        name=service.metadata.name,
        addresses=() if headless or external else tuple(addresses),
        ports=tuple(Port(p.name, p.protocol.lower(), p.port) for p in spec.ports),
        external=external.rstrip("."),
        headless=headless,
        publishes_unready=spec.publishNotReadyAddresses,
    )


def _backends(endpoints: EndpointSlice) -> Iterator[Backend]:
    ports = tuple(
        Port(item.name or "", (item.protocol or "TCP").lower(), item.port or 0)
        for item in endpoints.ports
    )
    for endpoint in endpoints.endpoints:
        ready = endpoint.conditions.ready is not False
        for address in endpoint.addresses:
            host = endpoint.hostname or address.replace(".", "-").replace(":", "-")
            yield Backend(address, host, ports, ready, bool(endpoint.hostname))
