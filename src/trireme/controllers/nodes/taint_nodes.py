"""NoSchedule taints by a node's conditions, and its deprecated beta labels.

In: nodes. Out: their NoSchedule taints, by their conditions and ``unschedulable``. Decisions are in
``plan_nodes``. Run by ``manager``. Upstream: pkg/controller/nodelifecycle (taints by condition);
https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/.
"""

from __future__ import annotations

from typing import Any

from trireme.api.core.v1.node_types import Node
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.nodes import plan_nodes
from trireme.runtime import triggers
from trireme.runtime.controller import Controller
from trireme.runtime.keys import Key


def make(context: ControllerContext) -> Controller:
    """The control loop."""
    nodes = context.informers.of(Node)

    async def reconcile(key: Key) -> None:
        node = nodes.get("", key.name)
        if node is None:
            return
        change: dict[str, Any] = {}
        taints = plan_nodes.no_schedule(node, context.env.clock.now())
        if taints != node.spec.taints:
            change["spec"] = {"taints": taints}
        labels = plan_nodes.labels(node)
        if labels:
            change["metadata"] = {"labels": labels}
        if change:
            guard = {"resourceVersion": node.metadata.resourceVersion}
            change["metadata"] = change.get("metadata", {}) | guard
            await context.client.patch(Node, key.name, None, change)

    # Heartbeats change the status without changing what is decided here.
    def is_relevant(event: Any) -> bool:
        return event.old is None or _facts(event.old) != _facts(event.object)

    return Controller(
        "node_lifecycle_controller",
        reconcile,
        context.env,
        triggers=[(nodes, triggers.only(is_relevant, triggers.own()))],
        workers=4,
    )


def _facts(node: Node) -> Any:
    states = [(item.type, item.status) for item in node.status.conditions]
    return states, node.spec, node.metadata.labels


CONTROLLER = Definition("node-lifecycle-controller", make, account="node-controller")
