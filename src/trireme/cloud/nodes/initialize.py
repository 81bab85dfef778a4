"""New nodes get what their provider knows of them; addresses are compared every five minutes.

In: nodes; the provider's ``Instances``. Out: nodes that carry the taint ``uninitialized`` get their
providerID, labels and addresses, and lose the taint. Decisions are in ``plan_node``. Run by
``manager``. Upstream: k8s.io/cloud-provider/controllers/node (cloud-node-controller).
"""

from __future__ import annotations

import asyncio

import msgspec

from trireme.api.core.v1.node_types import Node
from trireme.client.codec import Unreadable
from trireme.client.resource_interface import DELETED
from trireme.cloud.contract import InstanceMetadata, Instances, ProviderFailure
from trireme.cloud.definition import CloudContext, Definition
from trireme.cloud.nodes import plan_node
from trireme.machinery import errors
from trireme.runtime import triggers
from trireme.runtime.controller import Controller
from trireme.runtime.keys import Key
from trireme.runtime.periodic import Periodic
from trireme.runtime.recorder import NORMAL

NAME = "cloud-node-controller"


class NoProviderID(ProviderFailure):
    """Load balancers and others need one; without it the node is not initialised."""


class CloudNodes:
    """The control loop of new nodes and the loop of addresses."""

    def __init__(self, context: CloudContext, instances: Instances) -> None:
        self._context = context
        self._client = context.client
        self._instances = instances
        self._nodes = context.informers.of(Node)
        settings = context.settings
        own = triggers.only(lambda event: event.type != DELETED, triggers.own())
        self._loop = Controller(
            "Nodes",
            self.reconcile,
            context.env,
            triggers=[(self._nodes, own)],
            workers=settings.concurrent_node_syncs,
        )
        self._addresses = Periodic(
            self.update_addresses,
            settings.node_status_period,
            context.env,
            informers=[self._nodes],
        )

    async def run(self) -> None:
        """Both loops, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._loop.run(), name=NAME)
            group.create_task(self._addresses.run(), name=f"{NAME}/addresses")

    async def reconcile(self, key: Key) -> None:
        """Initialise one node, or bring its stable labels in line with those in beta."""
        node = self._nodes.get(*key)
        if node is None:
            return
        if not plan_node.is_uninitialized(node):
            labels = plan_node.stable_labels(node)
            if labels:
                await self._client.patch(Node, key.name, None, {"metadata": {"labels": labels}})
            return
        found = await self._instances.instance_metadata(node)
        if found is None:
            return
        if not found.provider_id and not node.spec.providerID:
            text = f"cloud provider does not set node provider ID for node {key.name}"
            raise NoProviderID(text)
        desired, discarded = plan_node.initialized(node, found)
        if discarded:
            text = "node %s: the provider's labels %s are reserved, or there with another value"
            self._context.env.log.warning(text, key.name, ", ".join(discarded))
        try:
            stored = await self._client.update(desired)
        except errors.ApiError as error:
            if errors.is_not_found(error):
                return
            raise
        await self._update_addresses(stored, found)
        self._context.recorder.event(node, NORMAL, "Synced", "Node synced successfully")

    async def update_addresses(self) -> None:
        """Compare the addresses of all nodes once. Logs failures."""
        for node in self._nodes.list():
            if plan_node.is_uninitialized(node):
                continue
            try:
                found = await self._instances.instance_metadata(node)
                if found is not None:
                    await self._update_addresses(node, found)
            except Exception as error:
                text = "addresses of node %s: %s"
                self._context.env.log.warning(text, node.metadata.name, error)

    async def _update_addresses(self, node: Node, found: InstanceMetadata) -> None:
        if not found.addresses:
            return
        try:
            desired = plan_node.addresses_of(node, found.addresses)
        except plan_node.BadAddress as error:
            self._context.env.log.warning("addresses of node %s: %s", node.metadata.name, error)
            return
        if desired == node.status.addresses:
            return
        # Replaced as a whole: a merge by type would keep only one address of a type.
        addresses = [*msgspec.to_builtins(desired), {"$patch": "replace"}]
        change = {"status": {"addresses": addresses}}
        try:
            await self._client.patch(Node, node.metadata.name, None, change, "strategic", "status")
        except (errors.ApiError, OSError, Unreadable) as error:
            self._context.env.log.warning("addresses of node %s: %s", node.metadata.name, error)


def make(context: CloudContext) -> CloudNodes | None:
    """Both loops; none where the provider knows no machines."""
    instances = context.cloud.instances
    return CloudNodes(context, instances) if instances is not None else None


CONTROLLER = Definition(NAME, "node-controller", make, component="cloud-node-controller")
