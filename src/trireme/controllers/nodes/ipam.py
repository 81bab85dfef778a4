"""Nodes get their pod networks (``spec.podCIDRs``) out of the cluster's.

In: nodes; settings with the cluster's networks, without which it does not run. Out: podCIDR and
podCIDRs of nodes that have none; events CIDRNotAvailable and CIDRAssignmentFailed. Decisions are in
``plan_ipam``. Run by ``manager``. Upstream: pkg/controller/nodeipam (RangeAllocator).
"""

from __future__ import annotations

import functools
from ipaddress import ip_network
from typing import Any

import prometheus_client

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.references import ObjectReference
from trireme.client.resource_interface import DELETED
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.nodes import plan_ipam
from trireme.controllers.nodes.plan_ipam import Network
from trireme.kit import metrics
from trireme.machinery import errors
from trireme.runtime import recorder, triggers
from trireme.runtime.controller import Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key


class _Metrics:
    """Upstream: pkg/controller/nodeipam/ipam/cidrset/metrics.go, the spelling included."""

    def __init__(
        self, registry: prometheus_client.CollectorRegistry, sets: list[plan_ipam.CIDRSet]
    ) -> None:
        prefix, labels = "node_ipam_controller", ["clusterCIDR"]
        self._allocations = metrics.counter(
            registry, f"{prefix}_cidrset_cidrs_allocations_total", "Networks given out", labels
        )
        self._releases = metrics.counter(
            registry, f"{prefix}_cidrset_cidrs_releases_total", "Networks given back", labels
        )
        most = metrics.gauge(
            registry, f"{prefix}_cirdset_max_cidrs", "Networks that there are", labels
        )
        used = metrics.gauge(
            registry, f"{prefix}_cidrset_usage_cidrs", "The share of them that is taken", labels
        )
        for made in sets:
            name = str(made.network)
            most.labels(name).set(made.count)
            used.labels(name).set_function(functools.partial(_share, made))

    def allocated(self, made: plan_ipam.CIDRSet) -> None:
        self._allocations.labels(str(made.network)).inc()

    def released(self, made: plan_ipam.CIDRSet) -> None:
        self._releases.labels(str(made.network)).inc()


def _share(made: plan_ipam.CIDRSet) -> float:
    return made.used / made.count


class NodeIPAM:
    """The executor, and what it knows to be taken."""

    def __init__(self, context: ControllerContext) -> None:
        self._sets = plan_ipam.make_sets(context.settings.node_ipam)
        self._metrics = _Metrics(context.env.metrics, self._sets)
        self._client = context.client
        self._events = context.recorder
        self._log = context.env.log
        self._nodes = context.informers.of(Node)
        # By node: what it was given and does not have yet, as far as is known.
        self._given: dict[str, list[Network]] = {}
        own = triggers.only(self._note, triggers.own())
        self.loop = Controller(
            "cidrallocator_node",
            self.reconcile,
            context.env,
            triggers=[(self._nodes, own)],
            workers=30,
        )

    def _note(self, event: Event[Any]) -> bool:
        """Note what the node has, or had; whether it needs something."""
        node: Node = event.object
        name, cidrs = node.metadata.name, node.spec.podCIDRs
        if event.type == DELETED or cidrs:
            for made, network in zip(self._sets, self._given.pop(name, ()), strict=False):
                made.release(network)
        try:
            networks = [ip_network(text, strict=False) for text in cidrs]
            for made, network in zip(self._sets, networks, strict=False):
                if event.type == DELETED:
                    made.release(network)
                    self._metrics.released(made)
                else:
                    made.occupy(network)
        except ValueError as error:
            self._log.warning("node %s: %s", name, error)
        return event.type != DELETED and not cidrs

    async def reconcile(self, key: Key) -> None:
        """Give one node its networks."""
        node = self._nodes.get(*key)
        if node is None or node.metadata.deletionTimestamp is not None or node.spec.podCIDRs:
            return
        if key.name not in self._given:
            try:
                self._given[key.name] = self._allocate()
            except plan_ipam.Full:
                self._record(node, "CIDRNotAvailable")
                raise
        # After a failure it gets the same: whether the request went through is not known.
        cidrs = [str(network) for network in self._given[key.name]]
        change = {
            "metadata": {"uid": node.metadata.uid},
            "spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs},
        }
        try:
            await self._client.patch(Node, key.name, None, change, "strategic")
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                self._record(node, "CIDRAssignmentFailed")
                raise

    def _allocate(self) -> list[Network]:
        networks: list[Network] = []
        try:
            for made in self._sets:
                networks.append(made.allocate())
                self._metrics.allocated(made)
        except plan_ipam.Full:
            for made, network in zip(self._sets, networks, strict=False):
                made.release(network)
            raise
        return networks

    def _record(self, node: Node, reason: str) -> None:
        meta = node.metadata
        about = ObjectReference(kind="Node", apiVersion="v1", name=meta.name, uid=meta.uid)
        text = f"Node {meta.name} status is now: {reason}"
        self._events.event(about, recorder.NORMAL, reason, text)


def make(context: ControllerContext) -> Controller | None:
    """The control loop; none where no pod network is to be divided."""
    return NodeIPAM(context).loop if context.settings.node_ipam.cluster_cidrs else None


CONTROLLER = Definition("node-ipam-controller", make, account="node-controller")
