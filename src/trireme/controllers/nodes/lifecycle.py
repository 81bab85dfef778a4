"""Nodes that fall silent: they become Unknown, and their pods are moved, not too fast.

In: nodes, their leases, pods, every 5 s. Out: conditions Unknown; NoExecute taints; pods marked not
ready; events. Decisions are in ``plan_nodes``; ``taint_eviction`` deletes the pods. Run by
``manager``. Upstream: pkg/controller/nodelifecycle;
https://kubernetes.io/docs/concepts/architecture/nodes/#node-controller.
"""

from __future__ import annotations

import msgspec

from trireme.api.coordination.v1.lease import Lease
from trireme.api.core.v1.node_types import Node, NodeCondition
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.references import ObjectReference
from trireme.client.codec import Unreadable
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.nodes import plan_nodes
from trireme.controllers.nodes.plan_nodes import Health, ZoneState
from trireme.domain import pods
from trireme.machinery import errors, time
from trireme.runtime import index, recorder

NAME = "node-controller"
PERIOD = 5.0
LEASES = "kube-node-lease"
_FAULTS = (errors.ApiError, OSError, Unreadable)


def make(context: ControllerContext) -> NodeLifecycle:
    """The loop."""
    return NodeLifecycle(context)


class _Zone:
    """The nodes of a zone that wait for their taint, and how many may have it: a token bucket."""

    def __init__(self, now: float) -> None:
        self.waiting: dict[str, None] = {}
        self.rate = 0.0
        self._tokens = 1.0
        self._at = now

    def take(self, now: float) -> bool:
        """Whether one more node may be given up now."""
        self._tokens = min(1.0, self._tokens + (now - self._at) * self.rate)
        self._at = now
        if self.rate <= 0 or self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class NodeLifecycle:
    """What was heard of each node, and the zones."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._events = context.recorder
        self._env = context.env
        self._settings = context.settings
        self._nodes = context.informers.of(Node)
        self._pods = context.informers.of(Pod)
        self._leases = context.informers.of(Lease, LEASES)
        self._pods.add_index(index.node_name)
        self._known: dict[str, str] = {}
        self._health: dict[str, Health] = {}
        self._zones: dict[str, _Zone] = {}
        self._all_lost = False
        # Nodes whose pods are still to be marked not ready, because that failed.
        self._unmarked: set[str] = set()

    async def run(self) -> None:
        """Look every 5 s until cancelled."""
        for informer in (self._nodes, self._pods, self._leases):
            await informer.synced()
        while True:
            await self.look()
            await self._env.clock.sleep(PERIOD)

    async def look(self) -> None:
        """One look at all nodes."""
        nodes = sorted(self._nodes.list(), key=lambda node: node.metadata.name)
        await self._census(nodes)
        zones: dict[str, list[bool]] = {}
        for node in nodes:
            try:
                state = await self._judge(node)
            except _FAULTS as fault:
                # Looked at again in 5 s; until then none of its pods is moved.
                if not errors.is_not_found(fault):
                    self._env.log.warning("node %s: %s", node.metadata.name, fault)
                continue
            if state is not None and plan_nodes.EXCLUDED not in node.metadata.labels:
                zones.setdefault(plan_nodes.zone(node), []).append(state == "True")
        await self._set_rates(zones, nodes)
        await self._give_up()

    async def _census(self, nodes: list[Node]) -> None:
        """Nodes that came and went."""
        present = {node.metadata.name: node.metadata.uid for node in nodes}
        for name, uid in present.items():
            if name not in self._known:
                self._tell(name, uid, "RegisteredNode", f"Registered Node {name} in Controller")
        for name, uid in self._known.items():
            if name not in present:
                self._tell(name, uid, "RemovingNode", f"Removing Node {name} from Controller")
                self._health.pop(name, None)
                self._unmarked.discard(name)
                for zone in self._zones.values():
                    zone.waiting.pop(name, None)
        self._known = present

    async def _judge(self, node: Node) -> str | None:
        """Hear one node, and act on what its condition Ready is now, which is returned."""
        name, now = node.metadata.name, self._env.clock.now()
        lease = self._leases.get(LEASES, name)
        renewed = lease.spec.renewTime if lease is not None else None
        health = plan_nodes.listen(self._health.get(name), node, renewed, now)
        self._health[name] = health
        before = plan_nodes.ready(node.status.conditions)
        conditions = plan_nodes.conditions(node, health, self._settings, now)
        if conditions != node.status.conditions:
            node = await self._write(node, conditions)
        current = plan_nodes.ready(conditions)
        if current is None:
            return None
        await self._taint(node, current)
        was = before.status if before is not None else "Unknown"
        await self._mark_pods(node, was, current.status)
        return current.status

    async def _write(self, node: Node, conditions: list[NodeCondition]) -> Node:
        status = msgspec.structs.replace(node.status, conditions=conditions)
        changed = msgspec.structs.replace(node, status=status)
        return await self._client.update(changed, subresource="status")

    async def _taint(self, node: Node, current: NodeCondition) -> None:
        """A node that is well loses its taint at once, one that has the other's gets its own at
        once, and one that has none waits for its turn."""
        name = node.metadata.name
        key = _key(current.status)
        zone = self._zone(node)
        if not key or plan_nodes.moves_pods(node):
            zone.waiting.pop(name, None)
            await self._set_taints(node, key)
        else:
            zone.waiting[name] = None

    async def _set_taints(self, node: Node, key: str) -> None:
        taints = plan_nodes.no_execute(node, key, self._env.clock.now())
        if taints != node.spec.taints:
            guard = {"resourceVersion": node.metadata.resourceVersion}
            change = {"metadata": guard, "spec": {"taints": taints}}
            await self._client.patch(Node, node.metadata.name, None, change)

    async def _mark_pods(self, node: Node, before: str, now: str) -> None:
        """When a node stops being ready, so do its pods, as nobody hears of them."""
        name = node.metadata.name
        if before == "True" and now != "True":
            self._events.event(
                node, recorder.NORMAL, "NodeNotReady", f"Node {name} status is now: NodeNotReady"
            )
            self._unmarked.add(name)
        if now == "True":
            self._unmarked.discard(name)
        if name not in self._unmarked:
            return
        for pod in self._pods.by_index(index.node_name, name):
            if pods.is_ready(pod):
                await self._mark(pod)
        self._unmarked.discard(name)

    async def _mark(self, pod: Pod) -> None:
        stamp = time.format(self._env.clock.now())
        condition = {"type": "Ready", "status": "False", "lastTransitionTime": stamp}
        patch = {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}}
        metadata = pod.metadata
        try:
            await self._client.patch(
                Pod, metadata.name, metadata.namespace, patch, "strategic", "status"
            )
        except errors.ApiError as fault:
            if errors.is_not_found(fault):
                return
            raise
        self._events.event(pod, recorder.WARNING, "NodeNotReady", "Node is not ready")

    async def _set_rates(self, zones: dict[str, list[bool]], nodes: list[Node]) -> None:
        """How fast nodes are given up; when all are lost, it is us, and none is."""
        states = {name: plan_nodes.zone_state(each, self._settings) for name, each in zones.items()}
        sizes = {name: len(each) for name, each in zones.items()}
        for name, rate in plan_nodes.rates(states, sizes, self._settings).items():
            self._zones.setdefault(name, _Zone(self._env.clock.monotonic())).rate = rate
        lost = bool(states) and all(state is ZoneState.FULL for state in states.values())
        if lost and not self._all_lost:
            for node in nodes:
                try:
                    await self._set_taints(node, "")
                except _FAULTS as fault:
                    self._env.log.warning("node %s: %s", node.metadata.name, fault)
        elif self._all_lost and not lost:
            # We were cut off ourselves: every node gets its whole time again.
            now = self._env.clock.now()
            self._health = {
                name: msgspec.structs.replace(health, heard=now)
                for name, health in self._health.items()
            }
        self._all_lost = lost

    async def _give_up(self) -> None:
        """Give the taint to nodes that wait for it, as fast as their zones allow."""
        now = self._env.clock.monotonic()
        for zone in self._zones.values():
            while zone.waiting and zone.take(now):
                name = next(iter(zone.waiting))
                del zone.waiting[name]
                try:
                    node = await self._client.get(Node, name)
                    current = plan_nodes.ready(node.status.conditions)
                    if current is not None and _key(current.status):
                        await self._set_taints(node, _key(current.status))
                except _FAULTS as fault:
                    # It waits again after the next look.
                    if not errors.is_not_found(fault):
                        self._env.log.warning("node %s: %s", name, fault)

    def _zone(self, node: Node) -> _Zone:
        name = plan_nodes.zone(node)
        return self._zones.setdefault(name, _Zone(self._env.clock.monotonic()))

    def _tell(self, name: str, uid: str, reason: str, text: str) -> None:
        about = ObjectReference(kind="Node", apiVersion="v1", name=name, uid=uid)
        self._events.event(about, recorder.NORMAL, reason, f"Node {name} event: {text}")


def _key(status: str) -> str:
    """The taint for a status of the condition Ready; "" when it is well."""
    return {"False": plan_nodes.NOT_READY, "Unknown": plan_nodes.UNREACHABLE}.get(status, "")


CONTROLLER = Definition(NAME, make)
