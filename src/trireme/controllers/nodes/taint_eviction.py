"""Pods on nodes with NoExecute taints: deleted, at once or when they no longer tolerate it.

In: pods and nodes. Out: pods marked as disrupted and deleted; events. Run by ``manager``. Upstream:
pkg/controller/tainteviction;
https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.selection import Taint, Toleration
from trireme.client.resource_interface import DELETED
from trireme.controllers import pod_eviction
from trireme.controllers.definition import ControllerContext, Definition
from trireme.domain import pods, tolerations
from trireme.kit import metrics
from trireme.machinery import time
from trireme.runtime import index, recorder, triggers
from trireme.runtime.controller import After, Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key

WORKERS = 8
NO_EXECUTE = "NoExecute"


def make(context: ControllerContext) -> Controller:
    """The control loop."""
    return TaintEviction(context).loop


class TaintEviction:
    """Keeps since when each pod has been on a node with its present taints."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._events = context.recorder
        self._clock = context.env.clock
        self._pods = context.informers.of(Pod)
        self._nodes = context.informers.of(Node)
        self._pods.add_index(index.node_name)
        self._since: dict[Key, tuple[str, float]] = {}
        registry, name = context.env.metrics, "taint_eviction_controller_pod_deletion"
        self._deletions = metrics.counter(registry, f"{name}s_total", "Pods evicted")
        self._late = metrics.histogram(
            registry,
            f"{name}_duration_seconds",
            "How long after its time a pod was evicted",
            (0.005, 0.025, 0.1, 0.5, 1, 2.5, 10, 30, 60, 120, 180, 240),
        )
        self.loop = Controller(
            "noexec_taint_pod",
            self.reconcile,
            context.env,
            triggers=[
                (self._pods, triggers.only(_is_relevant, triggers.own())),
                (self._nodes, self._of_node),
            ],
            workers=WORKERS,
        )

    async def reconcile(self, key: Key) -> After | None:
        """Delete the pod if it does not tolerate its node's taints, or no longer does."""
        pod = self._pods.get(*key)
        if pod is None:
            self._since.pop(key, None)
            return None
        node = self._nodes.get("", pod.spec.nodeName) if pod.spec.nodeName else None
        taints = node.spec.taints if node is not None else []
        taints = [taint for taint in taints if taint.effect == NO_EXECUTE]
        if not taints or pod.metadata.deletionTimestamp is not None or pods.is_finished(pod):
            waited = self._since.pop(key, None) is not None
            if waited and not taints:
                self._record_event(pod, f"Cancelling deletion of Pod {key}")
            return None
        limit = tolerated(pod.spec.tolerations, taints)
        if limit is None:
            # Tolerated for ever: no deletion is pending.
            self._since.pop(key, None)
            return None
        now = self._clock.now()
        known, since = self._since.get(key, ("", 0.0))
        if known != pod.metadata.uid:
            since = _tainted_since(taints, pod, now)
        if limit and now < since + limit:
            self._since[key] = (pod.metadata.uid, since)
            return After(since + limit - now)
        self._since.pop(key, None)
        await self._evict(pod)
        self._deletions.inc()
        self._late.observe(self._clock.now() - since - limit)
        return None

    async def _evict(self, pod: Pod) -> None:
        metadata = pod.metadata
        self._record_event(pod, f"Marking for deletion Pod {metadata.namespace}/{metadata.name}")
        message = "Taint manager: deleting due to NoExecute taint"
        now = self._clock.now()
        await pod_eviction.evict(self._client, pod, "DeletionByTaintManager", message, now)

    def _record_event(self, pod: Pod, message: str) -> None:
        self._events.event(pod, recorder.NORMAL, "TaintManagerEviction", message)

    def _of_node(self, event: Event[Node]) -> Iterable[Key]:
        """The pods of a node whose taints changed."""
        node, old = event.object, event.old
        before = _no_execute(old) if old is not None else []
        if before == _no_execute(node):
            return
        for pod in self._pods.by_index(index.node_name, node.metadata.name):
            yield Key(pod.metadata.namespace, pod.metadata.name)


def tolerated(pod_tolerations: Sequence[Toleration], taints: Sequence[Taint]) -> float | None:
    """For how many seconds a pod tolerates these taints: None for ever, 0 not at all. Of several
    tolerations of a taint, the shortest counts."""
    shortest: float | None = None
    for taint in taints:
        covering = [item for item in pod_tolerations if tolerations.covers(item, taint)]
        if not covering:
            return 0.0
        for item in covering:
            if item.tolerationSeconds is not None:
                seconds = max(0.0, float(item.tolerationSeconds))
                shortest = seconds if shortest is None else min(shortest, seconds)
    return shortest


def _tainted_since(taints: Sequence[Taint], pod: Pod, now: float) -> float:
    """Since when the pod is on the tainted node, by ``timeAdded`` and its creation: a controller
    that restarts does not count anew."""
    added = [time.parse(item.timeAdded) for item in taints if item.timeAdded]
    if len(added) != len(taints):
        return now
    created = pod.metadata.creationTimestamp
    return max((*added, time.parse(created) if created else now))


def _no_execute(node: Node) -> list[Taint]:
    return [taint for taint in node.spec.taints if taint.effect == NO_EXECUTE]


def _is_relevant(event: Event[Pod]) -> bool:
    pod, old = event.object, event.old
    if old is None or event.type == DELETED:
        return True
    same = old.spec.nodeName == pod.spec.nodeName
    return not same or old.spec.tolerations != pod.spec.tolerations


CONTROLLER = Definition(
    "taint-eviction-controller",
    make,
    account="node-controller",
    component="taint-eviction-controller",
)
