"""The node group of a local cluster: machines that are made and deleted while it runs.

In: orders of the cluster autoscaler. Out: the desired machines in ``group_state``, which the
supervisor follows; their network, keys and images. ``run`` compares what is desired with what is
there, by the namespaces on the host, so that it can be killed anywhere.

A machine is made in this order: its namespace, upon which the supervisor starts its runtime; the
images of the first node; its keys, upon which the supervisor starts kubelet and proxy. It is
deleted once the supervisor has let go of it, which it shows by the records of its processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import msgspec

from trireme.api.core.v1.node_types import Node
from trireme.cloud.contract import Instance, InstanceState, NodeGroup
from trireme.cluster.hosts import plan as plans
from trireme.cluster.hosts.plan import HostsPlan, NodePlan
from trireme.cluster.local_cloud import group_state
from trireme.kit.env import Env

GROUP: Final = "nodes"
LABEL: Final = "trireme/node-group"
PERIOD: Final = 0.2
RETRY: Final = 10.0


class Machines(Protocol):
    """The host's side. Each call may be repeated."""

    def present(self) -> set[str]:
        """The names of nodes of which something is on the host, the cluster's first ones too."""

    async def create(self, plan: HostsPlan, node: NodePlan) -> None:
        """Make what can be made by now; the last step when the runtime runs. OSError and others."""

    def is_created(self, node: NodePlan) -> bool:
        """Whether the machine is ready to join."""

    def is_let_go(self, node: NodePlan) -> bool:
        """Whether the supervisor has ended what it ran there."""

    async def delete(self, plan: HostsPlan, node: NodePlan) -> None:
        """Remove everything; ``plan`` has the other nodes."""


class LocalNodeGroups:
    """The one group. ``plan`` has the nodes that ``up`` made."""

    def __init__(
        self,
        env: Env,
        plan: HostsPlan,
        max_size: int,
        machines: Machines,
        template: Node,
        provider_id: Callable[[str], str],
    ) -> None:
        self._env = env
        self._plan = plan
        self._max_size = max_size
        self._machines = machines
        self._template = template
        self._provider_id = provider_id
        self._state = group_state.read(plan.state_dir)
        self._present: set[str] = set()
        self._problems: dict[str, str] = {}
        self._changes = asyncio.Lock()
        self._wake = asyncio.Event()
        self._wake.set()

    @property
    def nodes(self) -> Sequence[NodePlan]:
        """The desired machines."""
        return self._state.nodes

    async def list_node_groups(self) -> Sequence[NodeGroup]:
        desired = {one.name for one in self._state.nodes}
        instances = [self._instance(one) for one in self._state.nodes]
        instances += [
            Instance(provider_id=self._provider_id(name), state=InstanceState.DELETING)
            for name in sorted(self._of_group(self._present) - desired)
        ]
        group = NodeGroup(
            id=GROUP,
            min_size=0,
            max_size=self._max_size,
            target_size=len(self._state.nodes),
            instances=tuple(instances),
            template=self._template,
        )
        return [group]

    def _instance(self, node: NodePlan) -> Instance:
        there = self._machines.is_created(node)
        return Instance(
            provider_id=self._provider_id(node.name),
            state=InstanceState.RUNNING if there else InstanceState.CREATING,
            error=self._problems.get(node.name, ""),
        )

    async def increase_size(self, group: str, delta: int) -> None:
        async with self._changes:
            size = len(self._state.nodes)
            if group != GROUP:
                raise ValueError(f"there is no node group {group}")
            if delta <= 0 or size + delta > self._max_size:
                raise ValueError(
                    f"{group}: {size} + {delta}: must be {size + 1} to {self._max_size}"
                )
            present = {_index(name) for name in self._machines.present()}
            state = self._state
            for _ in range(delta):
                index = group_state.next_index(state, len(self._plan.nodes), present)
                made = plans.node(self._plan, index)
                state = group_state.GroupState((*state.nodes, made), index)
            self._keep(state)

    async def delete_instances(self, group: str, provider_ids: Sequence[str]) -> None:
        async with self._changes:
            known = {self._provider_id(one.name): one for one in self._state.nodes}
            if group != GROUP or not set(provider_ids) <= set(known):
                raise ValueError(f"not all of {', '.join(provider_ids)} are of the group {group}")
            kept = tuple(one for id_, one in known.items() if id_ not in provider_ids)
            self._keep(msgspec.structs.replace(self._state, nodes=kept))

    def _keep(self, state: group_state.GroupState) -> None:
        group_state.write(self._plan.state_dir, state)
        self._state = state
        self._wake.set()

    async def run(self) -> None:
        """Make and delete machines until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not await self._reconcile():
                self._wake.set()
                await self._env.clock.sleep(PERIOD)

    async def _reconcile(self) -> bool:
        """Whether all is as desired."""
        self._present = self._machines.present()
        desired = {one.name: one for one in self._state.nodes}
        done = True
        for node in desired.values():
            if node.name not in self._present or not self._machines.is_created(node):
                made = await self._attempt(node, self._machines.create(self._all(), node))
                done &= made and self._machines.is_created(node)
        for name in sorted(self._of_group(self._present) - set(desired)):
            node = plans.node(self._plan, _index(name))
            if not self._machines.is_let_go(node):
                done = False
                continue
            done &= await self._attempt(node, self._machines.delete(self._all(), node))
        self._present = self._machines.present()
        return done

    def _all(self) -> HostsPlan:
        return plans.with_nodes(self._plan, (*self._plan.nodes, *self._state.nodes))

    async def _attempt(self, node: NodePlan, work: Awaitable[None]) -> bool:
        try:
            await work
        except Exception as error:
            if self._problems.get(node.name) != str(error):
                self._env.log.warning("node %s: %s", node.name, error)
            self._problems[node.name] = str(error)
            await self._env.clock.sleep(RETRY)
            return False
        self._problems.pop(node.name, None)
        return True

    def _of_group(self, present: set[str]) -> set[str]:
        return present - {one.name for one in self._plan.nodes}


def _index(name: str) -> int:
    return int(name.removeprefix("node-"))
