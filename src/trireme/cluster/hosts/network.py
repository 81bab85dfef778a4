"""The cluster's network on this host: switch, node namespaces, links, routes.

In: a `HostsPlan`.  Out: namespaces that reach each other, each other's pod networks and the host;
nothing else can be reached from them.  The bridge that joins them has a namespace to itself: on the
host, its packets would pass the host's firewall, and where Docker runs that forwards nothing.

`create` may be repeated and completes what is there; `remove` needs only the cluster's name.
Called by `local` and `teardown`.  Everything here blocks for some milliseconds and works in a
thread of its own: pyroute2 runs an event loop inside its calls and refuses where one is running.
"""

import contextlib
import errno
import functools
import ipaddress
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from pyroute2 import IPRoute
from pyroute2 import netns as namespaces
from pyroute2.netlink.exceptions import NetlinkError

from trireme.cluster.hosts import names
from trireme.cluster.hosts import plan as plans
from trireme.cluster.hosts.plan import HostsPlan, NodePlan

_BRIDGE = "switch"
_HOST_PORT = "host"
_NETFILTER_CALLS = tuple(
    f"/proc/sys/net/bridge/bridge-nf-call-{family}" for family in ("iptables", "ip6tables")
)
_MAIN_TABLE = 254
_UNREACHABLE = "unreachable"
_P = ParamSpec("_P")
_T = TypeVar("_T")


def _in_own_thread(work: Callable[_P, _T]) -> Callable[_P, _T]:
    @functools.wraps(work)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(work, *args, **kwargs).result()

    return call


@_in_own_thread
def taken() -> list[str]:
    """The CIDRs of this host's addresses and routes, for `plan.make`."""
    with IPRoute() as host:
        routes = host.get_routes(family=2, table=_MAIN_TABLE)
        addresses = host.get_addr(family=2)
        found = [f"{r.get_attr('RTA_DST')}/{r['dst_len']}" for r in routes if r["dst_len"]]
        for address in addresses:
            cidr = f"{address.get_attr('IFA_ADDRESS')}/{address['prefixlen']}"
            found.append(str(ipaddress.IPv4Interface(cidr).network))
    return sorted(set(found))


@_in_own_thread
def create(plan: HostsPlan) -> None:
    """Makes the network of the whole cluster."""
    for path in (plan.switch_path, *(node.netns_path for node in plan.nodes)):
        make_netns(Path(path))
    with IPRoute() as host:
        link = _host(host, plan)
        unplugged = {node.name for node in plan.nodes if not within(node.netns_path, _is_plugged)}
        within(plan.switch_path, functools.partial(_switch, plan, unplugged))
        for node in plan.nodes:
            within(node.netns_path, functools.partial(_node, plan, node))
        for node in plan.nodes:
            host.route("replace", dst=node.pod_cidr, gateway=node.ip, oif=link)


@_in_own_thread
def remove_node(plan: HostsPlan, node: NodePlan) -> None:
    """Removes the network of one node; ``plan`` has the others. May be repeated."""
    with IPRoute() as host, _gone_is_fine():
        host.route("del", dst=node.pod_cidr)
    for other in plan.nodes:
        within(other.netns_path, functools.partial(_forget, node))
    # With its port in the switch goes the other end, also while something holds the namespace.
    within(plan.switch_path, functools.partial(_unplug, node))
    remove_netns(Path(node.netns_path))


def _forget(node: NodePlan) -> None:
    with IPRoute() as inside, _gone_is_fine():
        inside.route("del", dst=node.pod_cidr)


def _unplug(node: NodePlan) -> None:
    with IPRoute() as switch:
        for port in switch.link_lookup(ifname=node.name):
            with _missing_is_fine():
                switch.link("del", index=port)


@_in_own_thread
def remove(cluster: str, run_dir: Path) -> None:
    """Removes the link that carries the cluster's mark, with it its routes, and the namespaces."""
    with IPRoute() as host:
        # Without this the link would go only when the kernel gets round to ending its namespace.
        for link in host.link_lookup(ifname=names.host_link(cluster)):
            with _missing_is_fine():
                host.link("del", index=link)
    for path in netns_paths(run_dir):
        remove_netns(path)


def netns_paths(run_dir: Path) -> list[Path]:
    """The mounted network namespaces of a cluster."""
    return sorted(Path(plans.netns_dir(str(run_dir))).glob("*"))


@_in_own_thread
def links() -> list[tuple[str, str]]:
    """(name, alias) of the host's links."""
    with IPRoute() as host:
        return [
            (link.get_attr("IFLA_IFNAME"), link.get_attr("IFLA_IFALIAS") or "")
            for link in host.get_links()
        ]


def make_netns(path: Path) -> None:
    """Makes a namespace and mounts it on a file, unless it is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        if _is_namespace(path):
            return
        path.unlink()
    path.touch(mode=0o444)
    subprocess.run(["unshare", f"--net={path}", "true"], check=True, capture_output=True)


def remove_netns(path: Path) -> None:
    subprocess.run(["umount", "--lazy", str(path)], check=False, capture_output=True)
    path.unlink(missing_ok=True)


@_in_own_thread
def within(netns_path: str, work: Callable[[], _T]) -> _T:
    """Runs `work` with its thread inside the namespace; nothing else of the process moves.

    pyroute2's `NetNS` would fork this process instead, with all its threads' locks.
    """
    namespaces.setns(netns_path, flags=os.O_RDONLY)
    return work()


def _host(host: IPRoute, plan: HostsPlan) -> int:
    """The host's end of its link to the switch; the index of that end."""
    if not within(plan.switch_path, _has_host_port):
        for stale in host.link_lookup(ifname=plan.host_link):
            host.link("del", index=stale)
        peer = {"ifname": _HOST_PORT, "net_ns_fd": plan.switch_path}
        host.link("add", ifname=plan.host_link, kind="veth", peer=peer)
    link: int = host.link_lookup(ifname=plan.host_link)[0]
    host.link("set", index=link, state="up", ifalias=names.link_alias(plan.cluster))
    for address in (plan.host_ip, *plan.api_ips):
        with _present_is_fine():
            host.addr("add", index=link, address=address, prefixlen=_prefix(plan))
    return link


def _switch(plan: HostsPlan, unplugged: set[str]) -> None:
    """Within the switch's namespace: the bridge, with a port for the host and for each node."""
    _switch_sysctls()
    with IPRoute() as switch:
        if not switch.link_lookup(ifname=_BRIDGE):
            switch.link("add", ifname=_BRIDGE, kind="bridge", br_stp_state=0, br_forward_delay=0)
        bridge = switch.link_lookup(ifname=_BRIDGE)[0]
        switch.link("set", index=bridge, state="up")
        for node in plan.nodes:
            if node.name not in unplugged:
                continue
            # A port whose other end is in a namespace that is about to end, and ends it too.
            for stale in switch.link_lookup(ifname=node.name):
                with _missing_is_fine():
                    switch.link("del", index=stale)
            peer = {"ifname": "eth0", "net_ns_fd": node.netns_path}
            switch.link("add", ifname=node.name, kind="veth", peer=peer)
        for name in (_HOST_PORT, *(node.name for node in plan.nodes)):
            port = switch.link_lookup(ifname=name)[0]
            switch.link("set", index=port, master=bridge, state="up")


def _has_host_port() -> bool:
    return _has_link(_HOST_PORT)


def _is_plugged() -> bool:
    return _has_link("eth0")


def _has_link(name: str) -> bool:
    with IPRoute() as inside:
        return bool(inside.link_lookup(ifname=name))


def _node(plan: HostsPlan, node: NodePlan) -> None:
    """Within a node's namespace."""
    _node_sysctls()
    with IPRoute() as inside:
        inside.link("set", index=inside.link_lookup(ifname="lo")[0], state="up")
        eth0 = inside.link_lookup(ifname="eth0")[0]
        with _present_is_fine():
            inside.addr("add", index=eth0, address=node.ip, prefixlen=_prefix(plan))
        inside.link("set", index=eth0, state="up")
        _node_routes(inside, eth0, plan, node)


def _prefix(plan: HostsPlan) -> int:
    return ipaddress.IPv4Network(plan.underlay).prefixlen


def _node_routes(inside: IPRoute, eth0: int, plan: HostsPlan, node: NodePlan) -> None:
    for other in plan.nodes:
        if other.index != node.index:
            inside.route("replace", dst=other.pod_cidr, gateway=other.ip, oif=eth0)
    # A Service's address needs some route, or connect() fails before the proxy's rules see it.
    inside.route("replace", dst=plan.service_network, gateway=plan.host_ip, oif=eth0)
    # Not just absent: the answer to what is outside comes at once and not after a time-out.
    inside.route("replace", dst="0.0.0.0/0", type=_UNREACHABLE, priority=4096)


class ServiceRoutes:
    """Within a node's namespace: routes to the networks of Services beside the cluster's own."""

    def __init__(self, own: str, gateway: str) -> None:
        self._own = own
        self._gateway = gateway
        self._there: set[str] = set()

    def update(self, networks: Iterable[str]) -> None:
        """Make these reachable, and no others. OSError. Not where an event loop runs."""
        desired = set(networks) - {self._own}
        try:
            with IPRoute() as inside:
                eth0 = inside.link_lookup(ifname="eth0")[0]
                for network in desired:
                    inside.route("replace", dst=network, gateway=self._gateway, oif=eth0)
                for network in self._there - desired:
                    with _gone_is_fine():
                        inside.route("del", dst=network, gateway=self._gateway, oif=eth0)
        except NetlinkError as error:
            raise OSError(error.code, f"routes to Services: {error}") from None
        self._there = desired


def set_balancer_routes(plan: HostsPlan, routes: Mapping[str, Sequence[str]]) -> None:
    """On the host: routes to load balancers' addresses by way of nodes, and no others. OSError.

    They go with the link. Not where an event loop runs.
    """
    network = ipaddress.IPv4Network(plan.underlay)
    try:
        with IPRoute() as host:
            link = _link(host, plan.host_link)
            for route in host.get_routes(family=2, table=_MAIN_TABLE, dst_len=32):
                address = route.get_attr("RTA_DST")
                if address not in routes and ipaddress.IPv4Address(address) in network:
                    host.route("del", dst=f"{address}/32")
            for address, gateways in routes.items():
                hops = [{"gateway": one, "oif": link} for one in gateways]
                way = hops[0] if len(hops) == 1 else {"multipath": hops}
                host.route("replace", dst=f"{address}/32", **way)
    except NetlinkError as error:
        raise OSError(error.code, f"routes to load balancers: {error}") from None


def _link(host: IPRoute, name: str) -> int:
    """The number of a link. OSError where there is none."""
    found: list[int] = host.link_lookup(ifname=name)
    if not found:
        raise OSError(errno.ENODEV, f"there is no link {name}")
    return found[0]


def _node_sysctls() -> None:
    """Settings of one namespace; /proc/sys/net shows that of the thread that looks."""
    base = Path("/proc/sys/net")
    (base / "ipv4/ip_forward").write_text("1")
    for scope in ("all", "default", "eth0"):
        # A reply may leave by another link than the request came by.
        (base / "ipv4/conf" / scope / "rp_filter").write_text("0")
        # What no Service takes of a load balancer's traffic would teach the host to send it there.
        (base / "ipv4/conf" / scope / "send_redirects").write_text("0")
    # Two pods of one node talk through their bridge.  When one calls the other by a Service, the
    # reply must pass the connection tracker to be given the Service's address back.
    for setting in _NETFILTER_CALLS:
        Path(setting).write_text("1")


def _switch_sysctls() -> None:
    for setting in _NETFILTER_CALLS:
        if Path(setting).exists():
            Path(setting).write_text("0")


def _is_namespace(path: Path) -> bool:
    """A name without its mount is what a maker leaves that was killed between the two."""
    return os.stat(path).st_dev != os.stat(path.parent).st_dev


@contextlib.contextmanager
def _present_is_fine() -> Iterator[None]:
    yield from _tolerate(errno.EEXIST)


@contextlib.contextmanager
def _missing_is_fine() -> Iterator[None]:
    yield from _tolerate(errno.ENODEV)


@contextlib.contextmanager
def _gone_is_fine() -> Iterator[None]:
    yield from _tolerate(errno.ESRCH)


def _tolerate(code: int) -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        if error.code != code:
            raise
