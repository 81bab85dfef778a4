"""Prerequisites of a local cluster on this machine, with remedies.

In: the machine (`probe`).  Out: a list of problems, each with its remedy (`decide`, pure: facts in,
problems out).  Called by `trireme up` and `scripts/up` before anything is made.

Kernel features are tried and not read from a configuration: they may be modules, which the kernel
loads when they are first used, and a container may be forbidden to use what the kernel has.  All
trials happen in a network namespace that ends with the process that tries.
"""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from trireme.cluster.hosts import cgroups, containerd

# Debian's package for each program.
BINARIES = {
    "containerd": "containerd",
    "containerd-shim-runc-v2": "containerd",
    "ctr": "containerd",
    "ip": "iproute2",
    "iptables": "iptables",
    "mount": "mount",
    "nft": "nftables",
    "nsenter": "util-linux",
    "runc": "runc",
    "umount": "mount",
    "unshare": "util-linux",
}
_CNI_PACKAGE = "containernetworking-plugins"
_CONTROLLERS = ("cpu", "memory", "pids")
_NFT_TRIAL = """table ip trireme-trial {
  map backends { type ipv4_addr : verdict; }
  chain c { type nat hook postrouting priority 100; masquerade fully-random; }
  chain d {
    type nat hook prerouting priority -100
    dnat to numgen random mod 1 map { 0: 10.0.0.1 }
  }
}
"""
_LINK_TRIAL = "ip link add name br0 type bridge && ip link add name v0 type veth peer name v1"
_HOST_FIREWALL = "hook input"


class Facts(msgspec.Struct, frozen=True):
    """Facts about the machine.  The defaults are those of one without problems."""

    root: bool = True
    linux: bool = True
    missing_binaries: tuple[str, ...] = ()
    cni_bin_dir: str | None = "/usr/lib/cni"
    links: str = ""
    """Empty, or why bridges and veth pairs cannot be made."""
    nftables: str = ""
    """Empty, or why a table with address translation is refused."""
    bridge_netfilter: bool = True
    overlay: bool = True
    controllers: tuple[str, ...] = _CONTROLLERS
    """Cgroup controllers of any version."""
    ports_in_use: tuple[int, ...] = ()
    input_policy_drop: bool = False
    """Whether the host's firewall drops what it does not know, so also calls from nodes."""


class Problem(msgspec.Struct, frozen=True):
    what: str
    remedy: str
    fatal: bool = True
    """False: a cluster starts, but something will be slower or may not work."""

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}"


def check(ports: Sequence[int] = ()) -> list[Problem]:
    """The machine's problems; `ports` are TCP ports that must be free on 127.0.0.1.  Blocks."""
    return decide(probe(ports))


def decide(facts: Facts) -> list[Problem]:
    """All problems that follow from the facts, the most basic first.  Pure."""
    if not facts.linux:
        return [Problem("this is not Linux", "nodes need it; use --control-plane-only")]
    problems = []
    if not facts.root:
        problems.append(
            Problem("not root", "nodes need it: use sudo, or --control-plane-only without nodes")
        )
    packages = {BINARIES[binary] for binary in facts.missing_binaries}
    lacking = list(facts.missing_binaries)
    if facts.cni_bin_dir is None:
        packages.add(_CNI_PACKAGE)
        lacking.append(f"the CNI plugins ({', '.join(containerd.CNI_PLUGINS)})")
    if packages:
        problems.append(
            Problem(
                f"not installed: {', '.join(lacking)}",
                f"apt-get install --yes --no-install-recommends {' '.join(sorted(packages))}",
            )
        )
    problems += _kernel(facts)
    problems += [
        Problem(
            f"port {port} on 127.0.0.1 is in use",
            f"see by whom with `ss -ltnp sport = :{port}`, or choose another with --api-port",
        )
        for port in facts.ports_in_use
    ]
    return problems


def probe(ports: Sequence[int] = ()) -> Facts:
    """Looks at this machine.  Takes some 20 ms, needs no root, changes nothing."""
    if not hasattr(os, "pidfd_open"):
        return Facts(linux=False)
    root = os.geteuid() == 0
    missing = tuple(name for name in BINARIES if _which(name) is None)
    can_try = root and not {"unshare", "ip", "nft"} & set(missing)
    return Facts(
        root=root,
        missing_binaries=missing,
        cni_bin_dir=containerd.cni_bin_dir(),
        links=_trial(["sh", "-c", _LINK_TRIAL]) if can_try else "",
        nftables=_trial(["nft", "-f", "-"], _NFT_TRIAL) if can_try else "",
        bridge_netfilter=Path("/proc/sys/net/bridge/bridge-nf-call-iptables").exists(),
        overlay="overlay" in Path("/proc/filesystems").read_text().split(),
        controllers=_controllers(),
        ports_in_use=tuple(port for port in ports if _in_use(port)),
        input_policy_drop=can_try and _input_policy_drop(),
    )


def _kernel(facts: Facts) -> list[Problem]:
    problems = []
    if facts.links:
        problems.append(
            Problem(
                f"the kernel makes no bridge or veth pair ({facts.links})",
                "modprobe bridge veth; in a container, run it with --privileged",
            )
        )
    if facts.nftables:
        problems.append(
            Problem(
                f"the kernel refuses nftables with address translation ({facts.nftables})",
                "modprobe nf_tables nft_chain_nat nft_masq nft_numgen; Linux 5.13 or newer",
            )
        )
    if not facts.bridge_netfilter:
        problems.append(
            Problem(
                "bridged packets cannot pass nftables, so Services fail between pods of one node",
                "modprobe br_netfilter",
            )
        )
    if not facts.overlay:
        problems.append(
            Problem(
                "the kernel has no overlay file system, so images are copied for each container",
                "modprobe overlay",
                fatal=False,
            )
        )
    lacking = [name for name in _CONTROLLERS if name not in facts.controllers]
    if lacking:
        problems.append(
            Problem(
                f"no cgroup controller for {', '.join(lacking)}",
                "boot with `cgroup_enable=memory`, or mount cgroups at /sys/fs/cgroup",
            )
        )
    if facts.input_policy_drop:
        problems.append(
            Problem(
                "the host's firewall drops unknown input, so nodes may not reach the API server",
                "accept input from links named tri*, such as with `ufw allow in on <link>`",
                fatal=False,
            )
        )
    return problems


def _which(name: str) -> str | None:
    """As root's PATH would find it: users often lack the sbin folders."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _trial(argv: list[str], stdin: str = "") -> str:
    done = subprocess.run(
        ["unshare", "--net", *argv], input=stdin, check=False, capture_output=True, text=True
    )
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[0]


def _controllers() -> tuple[str, ...]:
    try:
        layout = cgroups.probe()
    except cgroups.NoCgroups:
        return ()
    found = {name for hierarchy in layout.hierarchies for name in hierarchy.controllers}
    if layout.kind == "v2" and layout.unified is not None:
        with contextlib.suppress(OSError):
            found.update(Path(layout.unified.path, "cgroup.controllers").read_text().split())
    return tuple(sorted(found))


def _in_use(port: int) -> bool:
    with socket.socket() as probe_socket:
        probe_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe_socket.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _input_policy_drop() -> bool:
    listed = subprocess.run(["nft", "list", "chains"], check=False, capture_output=True, text=True)
    return any(
        "hook input" in line and "policy drop" in line for line in listed.stdout.splitlines()
    )
