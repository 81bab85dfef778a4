"""Nodes whose machine is gone are deleted, those whose machine is switched off are tainted.

In: nodes that are not ready, every five seconds; the provider's ``Instances``. Out: deleted nodes;
the taint ``shutdown``, taken off when the node is ready again; events. Run by a controller manager.
Upstream: k8s.io/cloud-provider/controllers/nodelifecycle (cloud-node-lifecycle-controller).
"""

from __future__ import annotations

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.references import ObjectReference
from trireme.api.core.v1.selection import Taint
from trireme.cloud import taints
from trireme.cloud.contract import Instances
from trireme.cloud.definition import CloudContext, Definition
from trireme.machinery import errors, meta
from trireme.machinery.errors import ApiError
from trireme.runtime.periodic import Periodic
from trireme.runtime.recorder import NORMAL, WARNING

NAME = "cloud-node-lifecycle-controller"


class CloudNodeLifecycle:
    """``monitor`` looks at all nodes once."""

    def __init__(self, context: CloudContext, instances: Instances) -> None:
        self._context = context
        self._client = context.client
        self._instances = instances
        self.nodes = context.informers.of(Node)

    async def monitor(self) -> None:
        """Logs the failures of single nodes."""
        for node in self.nodes.list():
            try:
                await self._monitor(node)
            except Exception as error:
                self._context.env.log.warning("node %s: %s", node.metadata.name, error)

    async def _monitor(self, node: Node) -> None:
        if _is_ready(node):
            await self._taint(node, present=False)
        elif not await self._instances.instance_exists(node):
            await self._delete(node)
        elif await self._instances.instance_shutdown(node):
            await self._taint(node, present=True)

    async def _delete(self, node: Node) -> None:
        name, uid = node.metadata.name, node.metadata.uid
        about = ObjectReference(kind="Node", apiVersion="v1", name=name, uid=uid)
        text = f"Deleting node {name} because it does not exist in the cloud provider"
        self._context.recorder.event(about, NORMAL, "DeletingNode", text)
        # A node of that name that has registered meanwhile stays.
        options = meta.DeleteOptions(preconditions=meta.Preconditions(uid=uid))
        try:
            await self._client.delete(Node, name, None, options)
        except ApiError as error:
            if errors.is_not_found(error):
                return
            text = f"Failed deleting node {name}: {error}"
            self._context.recorder.event(about, WARNING, "DeletingNodeFailed", text)
            raise

    async def _taint(self, node: Node, *, present: bool) -> None:
        others = [taint for taint in node.spec.taints if taint.key != taints.SHUTDOWN]
        if (len(others) < len(node.spec.taints)) == present:
            return
        desired = [*others, Taint(key=taints.SHUTDOWN, effect="NoSchedule")] if present else others
        guard = {"resourceVersion": node.metadata.resourceVersion}
        change = {"metadata": guard, "spec": {"taints": desired}}
        await self._client.patch(Node, node.metadata.name, None, change)


def _is_ready(node: Node) -> bool:
    return any(item.type == "Ready" and item.status == "True" for item in node.status.conditions)


def make(context: CloudContext) -> Periodic | None:
    """The loop; none where the provider knows no machines."""
    instances = context.cloud.instances
    if instances is None:
        return None
    lifecycle = CloudNodeLifecycle(context, instances)
    period = context.settings.node_period
    return Periodic(lifecycle.monitor, period, context.env, informers=[lifecycle.nodes])


CONTROLLER = Definition(NAME, "node-controller", make, component="cloud-node-lifecycle-controller")
