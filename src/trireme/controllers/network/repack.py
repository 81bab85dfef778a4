"""Subsets of Endpoints in their canonical form. Pure.

In: subsets in which an address may stand more than once. Out: the subsets in which each address
stands once, with all of its ports. Called by ``plan_endpoints`` and ``plan_mirroring``. Upstream:
RepackSubsets in pkg/api/v1/endpoints. Only the order of subsets and ports is our own: upstream's is
that of hashes of Go structures.
"""

from __future__ import annotations

from collections.abc import Iterable

from trireme.api.core.v1.endpoints import EndpointAddress, EndpointPort, EndpointSubset
from trireme.machinery import names

_Port = tuple[str, int, str, str | None]
# An address in the order of sorting: parsed where it can be, as it is written, uid of its target.
_Address = tuple[int, int, str, str]


def repack(subsets: Iterable[EndpointSubset]) -> list[EndpointSubset]:
    """Ports that serve at the same addresses share a subset. Not ready outdoes ready."""
    addresses: dict[_Address, EndpointAddress] = {}
    by_port: dict[_Port | None, dict[_Address, bool]] = {}
    for subset in subsets:
        keys: list[_Port | None] = [_port_key(port) for port in subset.ports]
        for port in keys or [None]:
            ready_at = by_port.setdefault(port, {})
            for ready, found in ((True, subset.addresses), (False, subset.notReadyAddresses)):
                for address in found:
                    key = _address_key(address)
                    addresses.setdefault(key, address)
                    ready_at[key] = ready_at.get(key, True) and ready
    by_addresses: dict[frozenset[tuple[_Address, bool]], list[_Port]] = {}
    for port, ready_at in by_port.items():
        ports = by_addresses.setdefault(frozenset(ready_at.items()), [])
        if port is not None:
            ports.append(port)
    made = [
        EndpointSubset(
            addresses=[addresses[key] for key, ready in sorted(keys) if ready],
            notReadyAddresses=[addresses[key] for key, ready in sorted(keys) if not ready],
            ports=[_port(port) for port in sorted(ports, key=lambda item: item[:3])],
        )
        for keys, ports in by_addresses.items()
    ]
    return sorted(made, key=lambda s: [(port.name, port.port, port.protocol) for port in s.ports])


def _address_key(address: EndpointAddress) -> _Address:
    uid = address.targetRef.uid if address.targetRef is not None else ""
    parsed = names.parse_ip_sloppy(address.ip)
    if parsed is None:
        return 0, 0, address.ip, uid
    return parsed.version, int(parsed), address.ip, uid


def _port_key(port: EndpointPort) -> _Port:
    return port.name, port.port, port.protocol, port.appProtocol


def _port(key: _Port) -> EndpointPort:
    name, number, protocol, app = key
    return EndpointPort(name=name, port=number, protocol=protocol, appProtocol=app)
