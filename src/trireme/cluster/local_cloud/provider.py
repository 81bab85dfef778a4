"""The provider of a local cluster.

In: the cluster's settings. Out: ``LocalCloud``; and the loops that it needs, as a definition for
the manager that runs the cloud's controllers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import aiohttp

from trireme.api.core.v1.node_types import Node, NodeAddress
from trireme.cloud.contract import InstanceMetadata
from trireme.cluster import settings
from trireme.cluster.hosts import saved_plan
from trireme.cluster.local_cloud import plan_balancers
from trireme.cluster.local_cloud.balancers import TIMEOUT, LocalLoadBalancers
from trireme.cluster.local_cloud.groups import GROUP, LABEL, LocalNodeGroups
from trireme.cluster.local_cloud.machines import LocalMachines
from trireme.cluster.settings import PROVIDER, NodeSettings, Settings
from trireme.kit.env import Env

INSTANCE_TYPE: Final = "local"
INSTANCE_TYPE_LABEL: Final = "node.kubernetes.io/instance-type"


class LocalCloud:
    """Machines and load balancers; the routes between machines are made with them."""

    name = PROVIDER
    routes = clusters = None

    def __init__(self, cluster: Settings, env: Env) -> None:
        plan = saved_plan.read(cluster.state_dir)
        assert plan is not None, "the network was made before"
        self._cluster = cluster

        async def set_routes(routes: Mapping[str, Sequence[str]]) -> None:
            # Netlink is a large import, and only for those who have load balancers.
            from trireme.cluster.hosts import network

            await asyncio.to_thread(network.set_balancer_routes, plan, routes)

        self.load_balancers = LocalLoadBalancers(
            env,
            Path(cluster.state_dir, "load-balancers.json"),
            plan_balancers.pool(plan.underlay),
            self._address_of,
            is_healthy,
            set_routes,
        )
        self.node_groups: LocalNodeGroups | None = None
        if cluster.scales:
            self.node_groups = LocalNodeGroups(
                env,
                plan,
                cluster.max_nodes - len(plan.nodes),
                LocalMachines(cluster),
                template(cluster),
                cluster.provider_id,
            )
        self.instances = LocalInstances(cluster, self.node_groups)

    def _address_of(self, name: str) -> str:
        return next((one.ip for one in self.instances.nodes() if one.name == name), "")

    async def run(self) -> None:
        """The loops of the provider, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.load_balancers.run(), name="load balancers")
            if self.node_groups is not None:
                group.create_task(self.node_groups.run(), name="node group")


class LocalInstances:
    """The machines: nodes of the settings, and of the group."""

    def __init__(self, cluster: Settings, groups: LocalNodeGroups | None) -> None:
        self._cluster = cluster
        self._groups = groups

    def nodes(self) -> list[NodeSettings]:
        """All machines."""
        joined = self._groups.nodes if self._groups is not None else ()
        return [*self._cluster.nodes, *map(settings.of, joined)]

    async def instance_exists(self, node: Node) -> bool:
        return self._find(node) is not None

    async def instance_shutdown(self, node: Node) -> bool:
        # The supervisor starts what has ended: a machine that is there runs.
        return False

    async def instance_metadata(self, node: Node) -> InstanceMetadata | None:
        found = self._find(node)
        if found is None:
            return None
        return InstanceMetadata(
            provider_id=self._cluster.provider_id(found.name),
            addresses=[
                NodeAddress(type="InternalIP", address=found.ip),
                NodeAddress(type="Hostname", address=found.name),
            ],
            instance_type=INSTANCE_TYPE,
            labels={} if found in self._cluster.nodes else {LABEL: GROUP},
        )

    def _find(self, node: Node) -> NodeSettings | None:
        """By its ID, or by name before it has one."""
        desired = node.spec.providerID or self._cluster.provider_id(node.metadata.name)
        for one in self.nodes():
            if self._cluster.provider_id(one.name) == desired:
                return one
        return None


def template(cluster: Settings) -> Node:
    """The Node that a machine of the group would be: this one, as its kubelets report it."""
    # Only for clusters that scale.
    from trireme.cluster import kubelets

    return kubelets.template(cluster, {LABEL: GROUP, INSTANCE_TYPE_LABEL: INSTANCE_TYPE})


async def is_healthy(address: str, port: int) -> bool:
    """Whether a node answers a health check. Its answer is not read, and leads nowhere."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    url = f"http://{address}:{port}/healthz"
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            return answer.status == 200
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False
