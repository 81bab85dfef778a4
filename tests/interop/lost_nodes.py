"""Nodes of a local cluster that are lost, and what runs on them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.interop.cluster import Kubectl
from trireme.cluster.hosts import names

# Seconds until a silent node is lost (--node-monitor-grace-period).
GRACE = 50.0


def ready_nodes(kubectl: Kubectl) -> set[str]:
    """Those that pods go to: the taint of one that was silent goes some time after it is Ready."""
    found = set()
    for node in kubectl.json("nodes")["items"]:
        states = {c["type"]: c["status"] for c in node["status"]["conditions"]}
        if states["Ready"] == "True" and not node["spec"].get("taints"):
            found.add(node["metadata"]["name"])
    return found


@contextmanager
def unplugged(cluster: str, index: int) -> Iterator[None]:
    """The node's port of the switch is down; what runs on the node goes on."""
    inside = ("nsenter", f"--net=/run/trireme/{cluster}/netns/switch", "--")
    port = (*inside, "ip", "link", "set", names.node(index))
    subprocess.run([*port, "down"], check=True)
    try:
        yield
    finally:
        subprocess.run([*port, "up"], check=True)


def main_process(container: str) -> int:
    """The first process of a container: the one that is no other's child. Numbers say nothing, they
    begin anew."""
    found = processes(container)
    return next(pid for pid in found if _parent(pid) not in found)


def processes(container: str) -> list[int]:
    """The processes of a container, by the cgroup that the runtime named after it."""
    for folder, _, _ in os.walk("/sys/fs/cgroup"):
        if container in folder:
            found = Path(folder, "cgroup.procs").read_text().split()
            if found:
                return [int(pid) for pid in found]
    raise AssertionError(f"no cgroup of {container}")


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
