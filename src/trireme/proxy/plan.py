"""The nftables ruleset of a node from its Service ports. Pure.

In: ``ServicePort`` values and facts about the node. Out: a ``Ruleset``. The form is upstream's
nftables mode: verdict maps from address, protocol and port to a chain per Service port. The rules
of each Service port are a value of their own (``Part``), so that only changed ports are computed.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network

import msgspec

from trireme.proxy.model import Endpoint, ServicePort
from trireme.proxy.ruleset import Chain, Ruleset, Set

MARK = "0x4000"
_NAME_ROOM = 128 - 16
_REJECT = "goto reject-chain"


class NodeFacts(msgspec.Struct, frozen=True):
    """The node. ``pods`` are the CIDRs of pods; traffic from elsewhere is masqueraded. To addresses
    of ``services`` that no Service has, nothing goes."""

    addresses: tuple[str, ...]
    pods: tuple[str, ...]
    services: tuple[str, ...]
    family: str = "ip"
    masquerade_all: bool = False

    @property
    def address_type(self) -> str:
        return "ipv4_addr" if self.family == "ip" else "ipv6_addr"


class Part(msgspec.Struct, frozen=True):
    """The rules of one Service port: elements by shared set, chains, and sets of its own."""

    elements: dict[str, dict[str, str]]
    chains: dict[str, Chain]
    sets: dict[str, Set]


def service_networks(cidrs: Iterable[str], family: str = "ip") -> tuple[str, ...]:
    """The networks of Services of the family; none within another, as nftables refuses that."""
    networks = [ipaddress.ip_network(text, strict=False) for text in cidrs]
    if family == "ip":
        four = [item for item in networks if isinstance(item, IPv4Network)]
        return tuple(map(str, ipaddress.collapse_addresses(four)))
    six = [item for item in networks if isinstance(item, IPv6Network)]
    return tuple(map(str, ipaddress.collapse_addresses(six)))


def part(port: ServicePort, node: NodeFacts) -> Part:
    """The rules of one Service port."""
    return _Builder(port, node).build()


def combine(parts: Iterable[Part], node: NodeFacts) -> Ruleset:
    """The whole ruleset: the base chains and shared sets, and all parts."""
    elements: dict[str, dict[str, str]] = {name: {} for name in _shared(node)}
    elements["nodeport-ips"] = dict.fromkeys(node.addresses, "")
    chains = base_chains(node)
    sets: dict[str, Set] = {}
    for item in parts:
        for name, added in item.elements.items():
            elements[name] |= added
        chains |= item.chains
        sets |= item.sets
    shared = {
        name: msgspec.structs.replace(empty, elements=elements[name])
        for name, empty in _shared(node).items()
    }
    return Ruleset({**shared, **sets}, chains)


def _shared(node: NodeFacts) -> dict[str, Set]:
    address = node.address_type
    to = f"{address} . inet_proto . inet_service : verdict"
    port = "inet_proto . inet_service : verdict"

    def of(kind: str, type_: str) -> Set:
        return Set(kind, f"type {type_};", {})

    return {
        "cluster-ips": of("set", address),
        "nodeport-ips": of("set", address),
        "hairpin-connections": of("set", f"{address} . {address} . inet_proto . inet_service"),
        "service-ips": of("map", to),
        "service-nodeports": of("map", port),
        "no-endpoint-services": of("map", to),
        "no-endpoint-nodeports": of("map", port),
        "firewall-ips": of("map", to),
    }


def base_chains(node: NodeFacts) -> dict[str, Chain]:
    """The base chains at netfilter's hooks, and the chains that they share."""
    ip = node.family
    triple = f"{ip} daddr . meta l4proto . th dport"
    node_guard = f"{ip} daddr @nodeport-ips"
    services = []
    if node.masquerade_all:
        services.append(f"{ip} daddr @cluster-ips jump mark-for-masquerade")
    elif node.pods:
        outside = f"{ip} saddr != {{ {', '.join(node.pods)} }}"
        services.append(f"{ip} daddr @cluster-ips {outside} jump mark-for-masquerade")
    services += [
        f"{triple} vmap @service-ips",
        f"{node_guard} meta l4proto . th dport vmap @service-nodeports",
    ]
    unallocated = [f"{ip} daddr {{ {', '.join(node.services)} }} drop"] if node.services else []
    fresh = "ct state new"
    return {
        "services": Chain(tuple(services)),
        "service-endpoints-check": Chain((f"{triple} vmap @no-endpoint-services",)),
        "nodeport-endpoints-check": Chain(
            (f"{node_guard} meta l4proto . th dport vmap @no-endpoint-nodeports",)
        ),
        "firewall-check": Chain((f"{triple} vmap @firewall-ips",)),
        "cluster-ips-check": Chain((f"{ip} daddr @cluster-ips reject", *unallocated)),
        "reject-chain": Chain(("reject",)),
        "mark-for-masquerade": Chain((f"mark set mark or {MARK}",)),
        "masquerading": Chain(
            (
                f"mark and {MARK} != 0 mark set mark xor {MARK} masquerade fully-random",
                f"ct status dnat {ip} saddr . {ip} daddr . meta l4proto . th dport "
                "@hairpin-connections masquerade fully-random",
            )
        ),
        "filter-prerouting-pre-dnat": Chain(
            (f"{fresh} jump firewall-check",), "type filter hook prerouting priority -110;"
        ),
        "filter-output-pre-dnat": Chain(
            (f"{fresh} jump firewall-check",), "type filter hook output priority -110;"
        ),
        "filter-input": Chain(
            (f"{fresh} jump nodeport-endpoints-check", f"{fresh} jump service-endpoints-check"),
            "type filter hook input priority 0;",
        ),
        "filter-forward": Chain(
            (f"{fresh} jump service-endpoints-check", f"{fresh} jump cluster-ips-check"),
            "type filter hook forward priority 0;",
        ),
        "filter-output": Chain(
            (f"{fresh} jump service-endpoints-check", f"{fresh} jump cluster-ips-check"),
            "type filter hook output priority 0;",
        ),
        "nat-prerouting": Chain(("jump services",), "type nat hook prerouting priority -100;"),
        "nat-output": Chain(("jump services",), "type nat hook output priority -100;"),
        "nat-postrouting": Chain(("jump masquerading",), "type nat hook postrouting priority 100;"),
    }


class _Builder:
    """Builds the part of one Service port."""

    def __init__(self, port: ServicePort, node: NodeFacts) -> None:
        self._port = port
        self._node = node
        self._elements: dict[str, dict[str, str]] = {}
        self._chains: dict[str, Chain] = {}
        self._sets: dict[str, Set] = {}
        self._base = chain_name(port)

    def build(self) -> Part:
        port = self._port
        self._add("cluster-ips", port.cluster_ip)
        self._internal()
        self._external()
        for endpoint in {*port.cluster, *port.local}:
            if endpoint.local:
                self._add(
                    "hairpin-connections",
                    f"{endpoint.address} . {endpoint.address} . {port.protocol} . {endpoint.port}",
                )
        return Part(self._elements, self._chains, self._sets)

    def _internal(self) -> None:
        """Traffic to the cluster address."""
        port = self._port
        key = f"{port.cluster_ip} . {port.protocol} . {port.port}"
        endpoints = port.local if port.internal_local else port.cluster
        if endpoints:
            chain = self._dispatch("local" if port.internal_local else "service", endpoints)
            self._add("service-ips", key, f"goto {chain}")
        else:
            self._add("no-endpoint-services", key, self._refusal())

    def _external(self) -> None:
        """Traffic from outside: node port, external and load balancer addresses."""
        port = self._port
        outside = (*port.external_ips, *port.load_balancer_ips)
        if not port.node_port and not outside:
            return
        keys = [f"{address} . {port.protocol} . {port.port}" for address in outside]
        node_key = f"{port.protocol} . {port.node_port}"
        usable = port.cluster or port.local
        if not usable:
            for key in keys:
                self._add("no-endpoint-services", key, _REJECT)
            if port.node_port:
                self._add("no-endpoint-nodeports", node_key, _REJECT)
            return
        chain = f"external-{self._base}"
        self._chains[chain] = Chain(tuple(self._external_rules()))
        for key in keys:
            self._add("service-ips", key, f"goto {chain}")
        if port.node_port:
            self._add("service-nodeports", node_key, f"goto {chain}")
        if port.external_local and not port.local:
            for key in keys:
                self._add("no-endpoint-services", key, "drop")
            if port.node_port:
                self._add("no-endpoint-nodeports", node_key, "drop")
        self._firewall()

    def _external_rules(self) -> Iterable[str]:
        port, ip = self._port, self._node.family
        if not port.external_local:
            yield "jump mark-for-masquerade"
            yield f"goto {self._dispatch('service', port.cluster)}"
            return
        if port.cluster:
            everywhere = self._dispatch("service", port.cluster)
            if self._node.pods:
                yield f"{ip} saddr {{ {', '.join(self._node.pods)} }} goto {everywhere}"
            yield "fib saddr type local jump mark-for-masquerade"
            yield f"fib saddr type local goto {everywhere}"
        if port.local:
            yield f"goto {self._dispatch('local', port.local)}"

    def _firewall(self) -> None:
        port = self._port
        ranges = port.source_ranges
        if not port.load_balancer_ips or not ranges or "0.0.0.0/0" in ranges:
            return
        chain = f"firewall-{self._base}"
        ip = self._node.family
        self._chains[chain] = Chain((f"{ip} saddr != {{ {', '.join(ranges)} }} drop",))
        for address in port.load_balancer_ips:
            key = f"{address} . {port.protocol} . {port.port}"
            self._add("firewall-ips", key, f"goto {chain}")

    def _dispatch(self, kind: str, endpoints: tuple[Endpoint, ...]) -> str:
        """The chain that picks one of the endpoints; returns its name."""
        name = f"{kind}-{self._base}"
        if name in self._chains:
            return name
        port, ip = self._port, self._node.family
        count = len(endpoints)
        if not port.affinity:
            choices = ", ".join(
                f"{number} : {item.address} . {item.port}" for number, item in enumerate(endpoints)
            )
            pick = f"numgen random mod {count} map {{ {choices} }}"
            rule = f"meta l4proto {port.protocol} dnat {ip} addr . port to {pick}"
            self._chains[name] = Chain((rule,))
            return name
        targets = [self._sticky(item) for item in endpoints]
        known = [f"{ip} saddr @affinity-{target} goto endpoint-{target}" for target in targets]
        choices = ", ".join(
            f"{number} : goto endpoint-{target}" for number, target in enumerate(targets)
        )
        self._chains[name] = Chain((*known, f"numgen random mod {count} vmap {{ {choices} }}"))
        return name

    def _sticky(self, endpoint: Endpoint) -> str:
        """The chain and the set of an endpoint with session affinity."""
        port, ip = self._port, self._node.family
        # The time is part of the name: a set cannot change it.
        target = f"{self._base}__{endpoint.address}/{endpoint.port}/{port.affinity}"
        self._sets[f"affinity-{target}"] = Set(
            "set",
            f"type {self._node.address_type}; flags dynamic,timeout; timeout {port.affinity}s;",
            {},
            dynamic=True,
        )
        destination = f"{endpoint.address}:{endpoint.port}"
        if ip == "ip6":
            destination = f"[{endpoint.address}]:{endpoint.port}"
        self._chains[f"endpoint-{target}"] = Chain(
            (
                f"update @affinity-{target} {{ {ip} saddr }}",
                f"meta l4proto {port.protocol} dnat to {destination}",
            )
        )
        return target

    def _refusal(self) -> str:
        """Drop if the policy Local excludes all endpoints, reject if there are none at all."""
        return "drop" if self._port.any else _REJECT

    def _add(self, name: str, key: str, verdict: str = "") -> None:
        self._elements.setdefault(name, {})[key] = verdict


def chain_name(port: ServicePort) -> str:
    """The name of a Service port in chains: a hash, and what it is, as far as it fits."""
    text = f"{port.namespace}/{port.name}/{port.protocol}/{port.port_name}"
    digest = base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()[:8]
    name = f"{digest}-{text}"
    return name if len(name) <= _NAME_ROOM else name[: _NAME_ROOM - 3] + "..."
