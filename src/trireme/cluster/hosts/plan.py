"""Addresses and places of a cluster's hosts.  Pure.

In: the cluster's name, its number of nodes, and the networks that the host already uses.  Out: a
`HostsPlan`, which says everything that `network`, `containerd` and `teardown` make or remove.
Called by `local`.

Shape of the network (no NAT anywhere between pods, nodes and host):

    host (.1) ─ switch (underlay) ─┬─ node-0 (.2) ─ cni0 ─ pods of 10.244.0.0/24
                                   └─ node-1 (.3) ─ cni0 ─ pods of 10.244.1.0/24

Each node routes the other nodes' pod networks through their addresses, and so does the host.  The
host's routing table is shared by all clusters: a second cluster gets another underlay and another
pod network.  Service addresses exist only within the nodes and may be the same everywhere.
"""

import hashlib
import ipaddress
import posixpath
from collections.abc import Iterable, Iterator

import msgspec

from trireme.cluster.hosts import names
from trireme.cluster.user_error import UserError

IPv4Network = ipaddress.IPv4Network

SERVICE_NETWORK = "10.96.0.0/12"
POD_NETWORK = "10.244.0.0/16"
# Docker takes 172.17.0.0/16 and upwards one by one; these ends are the last that it reaches.
_UNDERLAY_POOLS = ("172.29.0.0/16", "172.28.0.0/16", "10.213.0.0/16")
_POD_POOL = "10.128.0.0/9"


class Places(msgspec.Struct, frozen=True):
    """The two folders that clusters live in: what lasts, and what ends with a reboot."""

    state: str = "/var/lib/trireme"
    run: str = "/run/trireme"


class NodePlan(msgspec.Struct, frozen=True):
    """One node.  Addresses are dotted, networks are CIDRs, paths absolute."""

    name: str
    index: int
    ip: str
    pod_cidr: str
    cni_network: str
    cgroup: str
    """The node's own cgroup; its runtime's and daemons' is `<cgroup>/runtime`."""
    cgroup_parent: str
    """What the kubelet passes to the runtime as the parent of its pods' cgroups."""
    state_dir: str
    run_dir: str
    log_dir: str
    containerd_socket: str

    @property
    def netns_path(self) -> str:
        return f"{netns_dir(posixpath.dirname(self.run_dir))}/{self.name}"


class HostsPlan(msgspec.Struct, frozen=True):
    """All hosts of one cluster."""

    cluster: str
    host_link: str
    underlay: str
    host_ip: str
    """The host's address towards the nodes: where they reach an API server on the host."""
    pod_network: str
    service_network: str
    state_dir: str
    run_dir: str
    nodes: tuple[NodePlan, ...]
    control_planes: int = 1

    @property
    def api_ips(self) -> tuple[str, ...]:
        """The host's further addresses towards the nodes: one for each of several API servers."""
        if self.control_planes == 1:
            return ()
        underlay = IPv4Network(self.underlay)
        first = 2 + names.MAX_NODES
        return tuple(str(underlay[first + number]) for number in range(self.control_planes))

    @property
    def switch_path(self) -> str:
        """The network namespace that holds the bridge between host and nodes."""
        return f"{netns_dir(self.run_dir)}/switch"


def netns_dir(run_dir: str) -> str:
    """Where a cluster's network namespaces are mounted.

    Not in /run/netns: the first `ip netns add` of anybody mounts that folder over itself, and what
    was mounted there before can neither be reached nor removed any more.
    """
    return f"{run_dir}/netns"


class NoNetworkLeft(UserError):
    """Every network that a cluster could use overlaps with one in use on this host."""


def make(
    cluster: str,
    nodes: int,
    *,
    taken: Iterable[str] = (),
    places: Places = Places(),
    pod_network: str = POD_NETWORK,
    service_network: str = SERVICE_NETWORK,
    control_planes: int = 1,
) -> HostsPlan:
    """Plans a cluster of `nodes` nodes.

    `taken` are the CIDRs of the host's addresses and routes.  `pod_network` is preferred: if
    it is taken, another that is free.  The same arguments give the same plan.

    Raises ValueError for a bad name or number, NoNetworkLeft.
    """
    names.cluster(cluster)
    if not 1 <= nodes <= names.MAX_NODES:
        raise ValueError(f"nodes: {nodes}: must be between 1 and {names.MAX_NODES}")
    service = IPv4Network(service_network)
    used = [network for network in map(IPv4Network, taken) if network.prefixlen > 0]
    underlay = _first_free(_underlays(cluster), [*used, service, IPv4Network(pod_network)])
    pods = _first_free(_pod_networks(cluster, pod_network), [*used, service, underlay])
    state_dir, run_dir = f"{places.state}/{cluster}", f"{places.run}/{cluster}"
    made = HostsPlan(
        cluster=cluster,
        host_link=names.host_link(cluster),
        underlay=str(underlay),
        host_ip=str(underlay[1]),
        pod_network=str(pods),
        service_network=service_network,
        state_dir=state_dir,
        run_dir=run_dir,
        nodes=(),
        control_planes=control_planes,
    )
    return with_nodes(made, (node(made, index) for index in range(nodes)))


def with_nodes(plan: HostsPlan, nodes: Iterable[NodePlan]) -> HostsPlan:
    """The plan with these nodes and no others."""
    return msgspec.structs.replace(plan, nodes=tuple(nodes))


def node(plan: HostsPlan, index: int) -> NodePlan:
    """The node of a number, whether it is in the plan or joins later; below MAX_NODES."""
    name, cluster = names.node(index), plan.cluster
    pod_cidr = IPv4Network((IPv4Network(plan.pod_network)[index * 256], 24))
    return NodePlan(
        name=name,
        index=index,
        ip=str(IPv4Network(plan.underlay)[2 + index]),
        pod_cidr=str(pod_cidr),
        cni_network=names.cni_network(cluster, index),
        cgroup=names.cgroup(cluster, name),
        cgroup_parent=names.cgroup(cluster, name, "kubepods"),
        state_dir=f"{plan.state_dir}/{name}",
        run_dir=f"{plan.run_dir}/{name}",
        log_dir=f"{plan.state_dir}/logs/{name}",
        containerd_socket=f"{plan.run_dir}/{name}/containerd.sock",
    )


def _first_free(candidates: Iterator[IPv4Network], used: list[IPv4Network]) -> IPv4Network:
    for candidate in candidates:
        if not any(candidate.overlaps(network) for network in used):
            return candidate
    raise NoNetworkLeft("no free private network for the cluster: remove routes or other clusters")


def _underlays(cluster: str) -> Iterator[IPv4Network]:
    """Candidates in the cluster's own order, so that a cluster keeps its addresses."""
    for pool in _UNDERLAY_POOLS:
        yield from _rotated(list(IPv4Network(pool).subnets(new_prefix=24)), cluster)


def _pod_networks(cluster: str, preferred: str) -> Iterator[IPv4Network]:
    network = IPv4Network(preferred)
    if network.prefixlen > 16:
        raise ValueError(f"pod network {preferred}: must be a /16 or larger, each node takes a /24")
    yield network
    yield from _rotated(list(IPv4Network(_POD_POOL).subnets(new_prefix=16)), cluster)


def _rotated(networks: list[IPv4Network], cluster: str) -> list[IPv4Network]:
    start = int(hashlib.sha256(cluster.encode()).hexdigest()[-8:], 16) % len(networks)
    return networks[start:] + networks[:start]
