"""What a cloud provider is: a ``Cloud`` with the parts that it has.

In: calls of the controllers in this package. Out: machines, load balancers and routes of the
provider. Upstream: k8s.io/cloud-provider ``Interface`` with its parts InstancesV2, LoadBalancer,
Routes and Clusters, and the cluster autoscaler's NodeGroup;
https://kubernetes.io/docs/concepts/architecture/cloud-controller/.

A provider owns what it makes and finds it again after a restart: nothing is kept for it. Every
call may come twice and then changes nothing more. A call that fails raises ``ProviderFailure`` or
another error and is repeated after a pause that grows; ``RetryAfter`` says how long instead. Calls
do not block the event loop. A part that is None is not there, and the controllers that need it do
not run.

``tests/cloud/suite.py`` is the contract as a test that each provider passes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from trireme.api.core.v1.loadbalancer import LoadBalancerStatus
from trireme.api.core.v1.node_types import Node, NodeAddress
from trireme.api.core.v1.service import Service


class ProviderFailure(OSError):
    """A call that cannot succeed now: out of quota, not reachable. Such errors, and others of the
    system, are logged in one line; any other exception is taken for a bug."""


class ImplementedElsewhere(Exception):
    """Another controller does this: the caller leaves the object alone."""


class RetryAfter(Exception):
    """Not done yet; again in ``seconds``."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


@dataclass(frozen=True, kw_only=True)
class InstanceMetadata:
    """A machine. ``provider_id`` is ``<provider>://<what it calls the machine>``; "" leaves a
    label out. ``labels`` are the provider's own: none of kubernetes.io or k8s.io."""

    provider_id: str
    addresses: Sequence[NodeAddress] = ()
    instance_type: str = ""
    zone: str = ""
    region: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


class Instances(Protocol):
    """Machines, by their Node: its providerID, or its name before it has one."""

    async def instance_exists(self, node: Node) -> bool:
        """Whether there is such a machine, running or not."""

    async def instance_shutdown(self, node: Node) -> bool:
        """Whether the machine is there and switched off."""

    async def instance_metadata(self, node: Node) -> InstanceMetadata | None:
        """None when the provider does not know it yet: asked again when the Node changes."""


class LoadBalancers(Protocol):
    """Load balancers of Services. ``nodes`` take its traffic: the provider checks their health
    (the proxy's port 10256, or the Service's healthCheckNodePort) and sends it to healthy ones."""

    async def get_load_balancer(self, cluster: str, service: Service) -> LoadBalancerStatus | None:
        """The status of the Service's load balancer, None when there is none."""

    async def ensure_load_balancer(
        self, cluster: str, service: Service, nodes: Sequence[Node]
    ) -> LoadBalancerStatus:
        """Make it, or make it as the Service desires; returns the status of the Service."""

    async def update_load_balancer(
        self, cluster: str, service: Service, nodes: Sequence[Node]
    ) -> None:
        """Only the nodes have changed."""

    async def ensure_load_balancer_deleted(self, cluster: str, service: Service) -> None:
        """Delete it and all that belongs to it."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """Packets to ``destination_cidr`` go to a node. ``name`` is the provider's. With
    ``enable_node_addresses`` the route is made anew when ``addresses`` are no longer the node's.
    A ``blackhole`` goes to a machine that is gone."""

    destination_cidr: str
    target_node: str
    name: str = ""
    addresses: Sequence[NodeAddress] = ()
    enable_node_addresses: bool = False
    blackhole: bool = False


class Routes(Protocol):
    """Routes to the pod networks of nodes."""

    async def list_routes(self, cluster: str) -> Sequence[Route]:
        """All of the cluster."""

    async def create_route(self, cluster: str, name_hint: str, route: Route) -> None:
        """``name_hint`` is the same for the same node."""

    async def delete_route(self, cluster: str, route: Route) -> None:
        """A route of ``list_routes``."""


class Clusters(Protocol):
    """The clusters that the provider runs."""

    async def list_clusters(self) -> Sequence[str]:
        """Their names."""

    async def master(self, cluster: str) -> str:
        """The address of the cluster's control plane. KeyError."""


class InstanceState(Enum):
    """CREATING: ordered, not there yet. RUNNING: its Node is there or comes soon. DELETING: on its
    way out."""

    CREATING = "Creating"
    RUNNING = "Running"
    DELETING = "Deleting"


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A machine of a node group; ``error`` says why it could not be made."""

    provider_id: str
    state: InstanceState = InstanceState.RUNNING
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class NodeGroup:
    """Machines that are alike. ``target_size`` are desired, of ``instances`` there may be fewer or
    more. ``template`` is the Node that a new one would be."""

    id: str
    min_size: int
    max_size: int
    target_size: int
    instances: Sequence[Instance]
    template: Node


class NodeGroups(Protocol):
    """Groups of machines that can grow and shrink: what the cluster autoscaler stands on."""

    async def list_node_groups(self) -> Sequence[NodeGroup]:
        """All groups, with their machines."""

    async def increase_size(self, group: str, delta: int) -> None:
        """Order so many machines more; returns before they are there. ValueError above the
        maximum."""

    async def delete_instances(self, group: str, provider_ids: Sequence[str]) -> None:
        """Delete these machines and lower the target size by their number. ValueError for one of
        another group, or below the minimum."""


class Cloud(Protocol):
    """A provider. ``name`` is what its provider IDs begin with."""

    @property
    def name(self) -> str: ...

    @property
    def instances(self) -> Instances | None: ...

    @property
    def load_balancers(self) -> LoadBalancers | None: ...

    @property
    def routes(self) -> Routes | None: ...

    @property
    def clusters(self) -> Clusters | None: ...

    @property
    def node_groups(self) -> NodeGroups | None: ...
