"""The host's side of a node group: network namespaces, keys and images of single nodes.

In: the plan of the hosts with all nodes. Out: machines that are ready to join, and none of those
that are deleted. What runs on them is the supervisor's.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from trireme.cluster import settings
from trireme.cluster.hosts import plan, spawn
from trireme.cluster.hosts.plan import HostsPlan, NodePlan
from trireme.cluster.images import load
from trireme.cluster.pki import Keys
from trireme.cluster.settings import Settings


class LocalMachines:
    """``groups.Machines`` on this host; needs root."""

    def __init__(self, cluster: Settings) -> None:
        self._cluster = cluster
        self._keys = Keys(cluster.pki_dir)

    def present(self) -> set[str]:
        folder = Path(plan.netns_dir(self._cluster.run_dir))
        return {path.name for path in folder.glob("node-*")}

    def is_created(self, node: NodePlan) -> bool:
        return self._cluster.kubelet_key(node.name).exists() and Path(node.netns_path).exists()

    async def create(self, plan: HostsPlan, node: NodePlan) -> None:
        # Large imports, and only for those who have such machines.
        from trireme.cluster.hosts import network, outside

        await asyncio.to_thread(network.create, plan)
        if self._cluster.outside:
            await asyncio.to_thread(outside.open_way, plan, self._cluster.outside)
        if not self._cluster.mark(f"containerd.{node.name}").exists():
            # The supervisor starts it, now that there is the network.
            return
        await self._copy_images(plan.nodes[0], node)
        await asyncio.to_thread(self._keys.make_node, settings.of(node), time.time())

    async def _copy_images(self, source: NodePlan, target: NodePlan) -> None:
        """All that the first node has, so that what was loaded into every node is here, too."""
        have = {image.name for image in await load.images(target.containerd_socket)}
        found = await load.images(source.containerd_socket)
        missing = [image.name for image in found if image.managed and image.name not in have]
        if missing:
            with tempfile.TemporaryDirectory(prefix="trireme-image-") as folder:
                await load.copy(
                    missing, source.containerd_socket, target.containerd_socket, Path(folder)
                )

    def is_let_go(self, node: NodePlan) -> bool:
        records = spawn.records(self._cluster.records_dir)
        return not any(one.name.partition(".")[2] == node.name for one in records)

    async def delete(self, plan: HostsPlan, node: NodePlan) -> None:
        from trireme.cluster.hosts import teardown

        self._keys.remove_node(node.name)
        await asyncio.to_thread(teardown.teardown_node, plan, node)
