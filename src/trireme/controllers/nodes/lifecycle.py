"""Nodes without heartbeats: their conditions become Unknown, and they get NoExecute taints, as fast
as the eviction rate of their zone allows.

In: nodes, their leases, pods, every 5 s. Out: conditions Unknown; NoExecute taints; pods marked not
ready; events. Decisions are in ``plan_nodes``; ``taint_eviction`` deletes the pods. Run by
``manager``. Upstream: pkg/controller/nodelifecycle;
https://kubernetes.io/docs/concepts/architecture/nodes/#node-controller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import prometheus_client

from trireme.api.coordination.v1.lease import Lease
from trireme.api.core.v1.node_types import Node, NodeCondition
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.references import ObjectReference
from trireme.client.codec import Unreadable
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.nodes import plan_nodes
from trireme.controllers.nodes.plan_nodes import Health, ZoneState
from trireme.domain import pods
from trireme.kit import metrics
from trireme.machinery import errors, time
from trireme.runtime import index, recorder

LEASES = "kube-node-lease"
_ERRORS = (errors.ApiError, OSError, Unreadable)


def make(context: ControllerContext) -> NodeLifecycle:
    """The loop."""
    return NodeLifecycle(context)


class _Zone:
    """The nodes of a zone that wait for their NoExecute taint, rate-limited by a token bucket."""

    def __init__(self, rate: float, now: float) -> None:
        self.waiting: dict[str, None] = {}
        self._rate = rate
        self._tokens = 1.0
        self._at = now

    def set_rate(self, rate: float, now: float) -> None:
        """Change the rate. Where no token is left, or none was given out (rate 0), the first comes
        after a whole period: after a full disruption nodes get time to send their heartbeats."""
        if rate != self._rate:
            self._tokens = 1.0 if self.take(now) else 0.0
            self._rate = rate

    def take(self, now: float) -> bool:
        """Take a token: whether one more node may be tainted now."""
        self._tokens = min(1.0, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._rate <= 0 or self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class _Metrics:
    """Upstream: pkg/controller/nodelifecycle/metrics.go."""

    def __init__(self, registry: prometheus_client.CollectorRegistry) -> None:
        def gauge(name: str, text: str) -> prometheus_client.Gauge:
            return metrics.gauge(registry, f"node_collector_{name}", text, ["zone"])

        def histogram(name: str, text: str, first: float) -> prometheus_client.Histogram:
            buckets = metrics.exponential(first, 4, 8)
            return metrics.histogram(registry, f"node_collector_{name}", text, buckets)

        self.evictions = metrics.counter(
            registry, "node_collector_evictions_total", "Nodes whose pods were evicted", ["zone"]
        )
        self._size = gauge("zone_size", "Nodes of a zone")
        self._health = gauge("zone_health", "Nodes of a zone that are ready, in percent")
        self._unhealthy = gauge("unhealthy_nodes_in_zone", "Nodes of a zone that are not ready")
        self.one_node = histogram(
            "update_node_health_duration_seconds", "How long the look at a node took", 0.001
        )
        self.all_nodes = histogram(
            "update_all_nodes_health_duration_seconds", "How long the look at all nodes took", 0.01
        )
        self._zones: set[str] = set()

    def note(self, zones: Mapping[str, Sequence[bool]]) -> None:
        """``zones``: which of their nodes are ready."""
        for name in self._zones | zones.keys():
            ready = zones.get(name, ())
            self._size.labels(name).set(len(ready))
            share = 100 * sum(ready) / len(ready) if ready else 100
            self._health.labels(name).set(share)
            self._unhealthy.labels(name).set(len(ready) - sum(ready))
        self._zones.update(zones)


class NodeLifecycle:
    """The health of each node as last observed, and the zones."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._events = context.recorder
        self._env = context.env
        self._settings = context.settings.node_lifecycle
        self._nodes = context.informers.of(Node)
        self._pods = context.informers.of(Pod)
        self._leases = context.informers.of(Lease, LEASES)
        self._pods.add_index(index.node_name)
        self._known: dict[str, str] = {}
        self._health: dict[str, Health] = {}
        self._zones: dict[str, _Zone] = {}
        self._all_lost = False
        # Nodes whose pods are still to be marked not ready.
        self._unmarked: set[str] = set()
        # When the nodes were last looked at.
        self._looked = 0.0
        self._metrics = _Metrics(context.env.metrics)

    async def run(self) -> None:
        """Monitor the nodes every 5 s until cancelled."""
        for informer in (self._nodes, self._pods, self._leases):
            await informer.synced()
        while True:
            began = self._env.clock.monotonic()
            await self.monitor_health()
            self._metrics.all_nodes.observe(self._env.clock.monotonic() - began)
            clock, period = self._env.clock, self._settings.monitor_period
            await (clock.sleep if self._waits() else clock.tick)(period)

    def _waits(self) -> bool:
        """Whether a node may lose its readiness, or get its taint, as time alone passes: not one
        that was heard of since the last look."""
        last, self._looked = self._looked, self._env.clock.now()
        if self._unmarked or any(zone.waiting for zone in self._zones.values()):
            return True
        for node in self._nodes.list():
            health = self._health.get(node.metadata.name)
            current = plan_nodes.ready(node.status.conditions)
            unknown = current is not None and current.status == "Unknown"
            if not unknown and (health is None or health.probed <= last):
                return True
        return False

    async def monitor_health(self) -> None:
        """Update the health, taints and pods of all nodes once."""
        nodes = sorted(self._nodes.list(), key=lambda node: node.metadata.name)
        await self._classify_nodes(nodes)
        zones: dict[str, list[bool]] = {}
        for node in nodes:
            began = self._env.clock.monotonic()
            try:
                state = await self._update_health(node)
            except _ERRORS as error:
                # Retried in 5 s; until then the node gets no taint.
                if not errors.is_not_found(error):
                    self._env.log.warning("node %s: %s", node.metadata.name, error)
                continue
            finally:
                self._metrics.one_node.observe(self._env.clock.monotonic() - began)
            if state is not None and plan_nodes.EXCLUDED not in node.metadata.labels:
                zones.setdefault(plan_nodes.zone(node), []).append(state == "True")
        self._metrics.note(zones)
        await self._set_rates(zones, nodes)
        await self._no_execute_pass()

    async def _classify_nodes(self, nodes: list[Node]) -> None:
        """Events for nodes that were added and deleted."""
        present = {node.metadata.name: node.metadata.uid for node in nodes}
        for name, uid in present.items():
            if name not in self._known:
                self._record_event(
                    name, uid, "RegisteredNode", f"Registered Node {name} in Controller"
                )
        for name, uid in self._known.items():
            if name not in present:
                self._record_event(
                    name, uid, "RemovingNode", f"Removing Node {name} from Controller"
                )
                self._health.pop(name, None)
                self._unmarked.discard(name)
                for zone in self._zones.values():
                    zone.waiting.pop(name, None)
        self._known = present

    async def _update_health(self, node: Node) -> str | None:
        """Update one node's conditions, taints and pods; the status of its condition Ready."""
        name, now = node.metadata.name, self._env.clock.now()
        lease = self._leases.get(LEASES, name)
        renewed = lease.spec.renewTime if lease is not None else None
        health = plan_nodes.update_health(self._health.get(name), node, renewed, now)
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
        """Take the NoExecute taint from a ready node and swap not-ready for unreachable at once; a
        node that has neither is queued for the rate limiter of its zone."""
        name = node.metadata.name
        key = _key(current.status)
        zone = self._zone(plan_nodes.zone(node))
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
        """When a node stops being ready, mark its pods not ready."""
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
        now = time.format(self._env.clock.now())
        condition = {"type": "Ready", "status": "False", "lastTransitionTime": now}
        patch = {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}}
        metadata = pod.metadata
        try:
            await self._client.patch(
                Pod, metadata.name, metadata.namespace, patch, "strategic", "status"
            )
        except errors.ApiError as error:
            if errors.is_not_found(error):
                return
            raise
        self._events.event(pod, recorder.WARNING, "NodeNotReady", "Node is not ready")

    async def _set_rates(self, zones: dict[str, list[bool]], nodes: list[Node]) -> None:
        """Set the eviction rate of each zone. When all nodes of all zones are unhealthy (full
        disruption), the fault is likely the control plane's: no node is tainted."""
        states = {name: plan_nodes.zone_state(each, self._settings) for name, each in zones.items()}
        sizes = {name: len(each) for name, each in zones.items()}
        for name, rate in plan_nodes.rates(states, sizes, self._settings).items():
            self._zone(name).set_rate(rate, self._env.clock.monotonic())
        lost = bool(states) and all(state is ZoneState.FULL for state in states.values())
        if lost and not self._all_lost:
            for node in nodes:
                try:
                    await self._set_taints(node, "")
                except _ERRORS as error:
                    self._env.log.warning("node %s: %s", node.metadata.name, error)
        elif self._all_lost and not lost:
            # The end of a full disruption: every node gets its whole grace period again.
            now = self._env.clock.now()
            self._health = {
                name: msgspec.structs.replace(health, probed=now)
                for name, health in self._health.items()
            }
        self._all_lost = lost

    async def _no_execute_pass(self) -> None:
        """Taint the queued nodes, as fast as the rate limiter of each zone allows."""
        now = self._env.clock.monotonic()
        for zone_name, zone in self._zones.items():
            while zone.waiting and zone.take(now):
                name = next(iter(zone.waiting))
                del zone.waiting[name]
                try:
                    node = await self._client.get(Node, name)
                    current = plan_nodes.ready(node.status.conditions)
                    if current is not None and _key(current.status):
                        await self._set_taints(node, _key(current.status))
                        self._metrics.evictions.labels(zone_name).inc()
                except _ERRORS as error:
                    # Queued again by the next round.
                    if not errors.is_not_found(error):
                        self._env.log.warning("node %s: %s", name, error)

    def _zone(self, name: str) -> _Zone:
        rate, now = self._settings.eviction_rate, self._env.clock.monotonic()
        return self._zones.setdefault(name, _Zone(rate, now))

    def _record_event(self, name: str, uid: str, reason: str, text: str) -> None:
        about = ObjectReference(kind="Node", apiVersion="v1", name=name, uid=uid)
        self._events.event(about, recorder.NORMAL, reason, f"Node {name} event: {text}")


def _key(status: str) -> str:
    """The taint for a status of the condition Ready; "" for a ready node."""
    return {"False": plan_nodes.NOT_READY, "Unknown": plan_nodes.UNREACHABLE}.get(status, "")


CONTROLLER = Definition("node-lifecycle-controller", make, account="node-controller")
