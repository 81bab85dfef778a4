"""A cloud provider in memory: machines, load balancers and routes are entries of dicts.

In: the calls of the controllers. Out: the same, as a test sees it. ``failures`` is asked before
every call that changes something, with its name and what it is about, and may raise. A node group
makes machines at once; ``on_created`` and ``on_deleted`` are where a test starts and ends nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from trireme.api.core.v1.loadbalancer import LoadBalancerIngress, LoadBalancerStatus
from trireme.api.core.v1.node_types import Node, NodeAddress
from trireme.api.core.v1.service import Service
from trireme.cloud.contract import (
    Instance,
    InstanceMetadata,
    InstanceState,
    NodeGroup,
    Route,
)

NAME = "memory"
# Addresses of load balancers: TEST-NET-2.
ADDRESS = "198.51.100.{}"


@dataclass
class Machine:
    """A machine, by the name of its node."""

    metadata: InstanceMetadata
    running: bool = True
    group: str = ""
    error: str = ""


@dataclass
class Balancer:
    """A load balancer, by the uid of its Service."""

    address: str
    ports: list[int]
    nodes: list[str]


@dataclass
class MemoryCloud:
    """All parts in one. ``calls`` are the changes that were asked for, in order."""

    failures: Callable[[str, str], None] = lambda call, about: None
    on_created: Callable[[str, Node], None] = lambda name, template: None
    on_deleted: Callable[[str], None] = lambda name: None
    machines: dict[str, Machine] = field(default_factory=dict)
    balancers: dict[str, Balancer] = field(default_factory=dict)
    present_routes: dict[str, Route] = field(default_factory=dict)
    groups: dict[str, NodeGroup] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)

    name = NAME
    clusters = None

    @property
    def instances(self) -> MemoryCloud:
        return self

    @property
    def load_balancers(self) -> MemoryCloud:
        return self

    @property
    def routes(self) -> MemoryCloud:
        return self

    @property
    def node_groups(self) -> MemoryCloud:
        return self

    def add_machine(self, name: str, group: str = "", **metadata: Any) -> Machine:
        """A machine for the node of that name."""
        found = InstanceMetadata(provider_id=f"{NAME}://{name}", **metadata)
        self.machines[name] = Machine(found, group=group)
        return self.machines[name]

    def _change(self, call: str, about: str) -> None:
        self.calls.append((call, about))
        self.failures(call, about)

    # Instances

    async def instance_exists(self, node: Node) -> bool:
        return self._machine(node) is not None

    async def instance_shutdown(self, node: Node) -> bool:
        machine = self._machine(node)
        return machine is not None and not machine.running

    async def instance_metadata(self, node: Node) -> InstanceMetadata | None:
        machine = self._machine(node)
        return machine.metadata if machine is not None else None

    def _machine(self, node: Node) -> Machine | None:
        desired = node.spec.providerID or f"{NAME}://{node.metadata.name}"
        return next(
            (one for one in self.machines.values() if one.metadata.provider_id == desired), None
        )

    # Load balancers

    async def get_load_balancer(self, cluster: str, service: Service) -> LoadBalancerStatus | None:
        found = self.balancers.get(service.metadata.uid)
        return _status(found) if found is not None else None

    async def ensure_load_balancer(
        self, cluster: str, service: Service, nodes: Sequence[Node]
    ) -> LoadBalancerStatus:
        self._change("ensure", service.metadata.name)
        found = self.balancers.get(service.metadata.uid)
        address = found.address if found is not None else self._free_address()
        made = Balancer(address, [port.port for port in service.spec.ports], _names(nodes))
        self.balancers[service.metadata.uid] = made
        return _status(made)

    def _free_address(self) -> str:
        taken = {one.address for one in self.balancers.values()}
        return next(a for a in (ADDRESS.format(n) for n in range(1, 255)) if a not in taken)

    async def update_load_balancer(
        self, cluster: str, service: Service, nodes: Sequence[Node]
    ) -> None:
        self._change("update", service.metadata.name)
        self.balancers[service.metadata.uid].nodes = _names(nodes)

    async def ensure_load_balancer_deleted(self, cluster: str, service: Service) -> None:
        self._change("delete", service.metadata.name)
        self.balancers.pop(service.metadata.uid, None)

    # Routes

    async def list_routes(self, cluster: str) -> Sequence[Route]:
        return list(self.present_routes.values())

    async def create_route(self, cluster: str, name_hint: str, route: Route) -> None:
        self._change("create_route", route.destination_cidr)
        name = f"{name_hint}-{route.destination_cidr}"
        self.present_routes[name] = replace(route, name=name)

    async def delete_route(self, cluster: str, route: Route) -> None:
        self._change("delete_route", route.destination_cidr)
        self.present_routes.pop(route.name, None)

    # Node groups

    def add_group(self, group: str, template: Node, minimum: int, maximum: int) -> None:
        """An empty group."""
        self.groups[group] = NodeGroup(
            id=group,
            min_size=minimum,
            max_size=maximum,
            target_size=0,
            instances=(),
            template=template,
        )

    async def list_node_groups(self) -> Sequence[NodeGroup]:
        return [
            replace(
                group,
                instances=tuple(
                    Instance(
                        provider_id=one.metadata.provider_id,
                        state=InstanceState.RUNNING if one.running else InstanceState.CREATING,
                        error=one.error,
                    )
                    for one in self.machines.values()
                    if one.group == group.id
                ),
            )
            for group in self.groups.values()
        ]

    async def increase_size(self, group: str, delta: int) -> None:
        self._change("increase_size", f"{group}+{delta}")
        found = self.groups[group]
        if delta <= 0 or found.target_size + delta > found.max_size:
            raise ValueError(f"{group}: {found.target_size} + {delta} is above {found.max_size}")
        for _ in range(delta):
            name = self._free_name(group)
            self.add_machine(name, group, labels={"example.com/group": group})
            self.on_created(name, found.template)
        self.groups[group] = replace(found, target_size=found.target_size + delta)

    def _free_name(self, group: str) -> str:
        number = 0
        while f"{group}-{number}" in self.machines:
            number += 1
        return f"{group}-{number}"

    async def delete_instances(self, group: str, provider_ids: Sequence[str]) -> None:
        self._change("delete_instances", " ".join(provider_ids))
        found = self.groups.get(group)
        if found is None:
            raise ValueError(f"there is no node group {group}")
        names = {one.metadata.provider_id: name for name, one in self.machines.items()}
        doomed = [names[id_] for id_ in provider_ids if id_ in names]
        if any(self.machines[name].group != group for name in doomed):
            raise ValueError(f"not all of {', '.join(provider_ids)} are of {group}")
        if found.target_size - len(doomed) < found.min_size:
            raise ValueError(f"{group}: fewer than {found.min_size}")
        for name in doomed:
            del self.machines[name]
            self.on_deleted(name)
        self.groups[group] = replace(found, target_size=found.target_size - len(doomed))


def addresses(internal: str) -> list[NodeAddress]:
    """The addresses of a machine."""
    return [NodeAddress(type="InternalIP", address=internal)]


def _names(nodes: Sequence[Node]) -> list[str]:
    return sorted(node.metadata.name for node in nodes)


def _status(balancer: Balancer) -> LoadBalancerStatus:
    return LoadBalancerStatus(ingress=[LoadBalancerIngress(ip=balancer.address)])
