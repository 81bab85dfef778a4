"""Egress: networks beyond the host that nodes and pods may reach, behind the host's address.

In: a cluster's plan and networks (`0.0.0.0/0` for all).  Out: routes in the nodes, an nftables
table with the cluster's mark that masquerades, and forwarding on the host.  Without it a cluster
reaches only itself, which is the default; with it, images come from a real registry.  `close` is a
part of `teardown`: what the host's switch for forwarding was is kept in the cluster's run folder.
"""

import functools
import ipaddress
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pyroute2 import IPRoute

from trireme.cluster.hosts import names, network
from trireme.cluster.hosts.plan import HostsPlan

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_KEPT = "ip_forward"
# A higher priority than the unreachable default route.
_PRIORITY = 100


def networks(texts: Sequence[str]) -> tuple[str, ...]:
    """The networks, checked.  Raises ValueError that says which is none."""
    for text in texts:
        try:
            ipaddress.IPv4Network(text)
        except ValueError as problem:
            raise ValueError(f"--outside {text}: not an IPv4 network: {problem}") from None
    return tuple(texts)


def open_way(plan: HostsPlan, cidrs: Sequence[str]) -> None:
    """Lets nodes and pods reach the networks.  May be repeated."""
    for node in plan.nodes:
        network.within(node.netns_path, functools.partial(_routes, plan, cidrs))
    subprocess.run(["nft", "-f", "-"], input=rules(plan, cidrs), text=True, check=True)
    kept = Path(plan.run_dir, _KEPT)
    if FORWARDING.read_text().strip() == "0":
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text("0")
        FORWARDING.write_text("1")


def rules(plan: HostsPlan, cidrs: Sequence[str]) -> str:
    """The host's nftables transaction.  Pure."""
    table = f"ip {names.mark(plan.cluster)}"
    inside = f"{{ {plan.underlay}, {plan.pod_network} }}"
    return (
        f"add table {table}\n"
        f"delete table {table}\n"
        f"add table {table}\n"
        f"add chain {table} out {{ type nat hook postrouting priority 100; }}\n"
        f"add rule {table} out ip saddr {inside} ip daddr {{ {', '.join(cidrs)} }} "
        f"oifname != {plan.host_link} masquerade\n"
    )


def close(run_dir: Path) -> None:
    """Turns the host's forwarding off again, if it was the cluster that turned it on."""
    kept = run_dir / _KEPT
    if kept.exists():
        FORWARDING.write_text(kept.read_text())
        kept.unlink()


def _routes(plan: HostsPlan, cidrs: Sequence[str]) -> None:
    with IPRoute() as inside:
        eth0 = inside.link_lookup(ifname="eth0")[0]
        for target in cidrs:
            inside.route("replace", dst=target, gateway=plan.host_ip, oif=eth0, priority=_PRIORITY)
