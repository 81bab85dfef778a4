"""Pod garbage: pods whose node is gone, that never had one, or that finished long ago.

In: pods and nodes, every 20 s. Out: pods marked Failed and deleted. Decisions are in ``plan_pods``.
Run by ``manager``. Upstream: pkg/controller/podgc.
"""

from __future__ import annotations

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.client.codec import Unreadable
from trireme.controllers.cleanup import plan_pods
from trireme.controllers.definition import ControllerContext, Definition
from trireme.kit import metrics
from trireme.machinery import errors, meta

PERIOD = 20.0
# So long a node must have been missing before its pods are given up.
QUARANTINE = 40.0


def make(context: ControllerContext) -> PodGarbage:
    """The loop."""
    return PodGarbage(context)


class PodGarbage:
    """Remembers since when nodes are missing."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._env = context.env
        self._limit = context.settings.terminated_pods
        self._pods = context.informers.of(Pod)
        self._nodes = context.informers.of(Node)
        self._missing: dict[str, float] = {}
        labels = ["namespace", "reason"]
        registry, name = context.env.metrics, "pod_gc_collector_force_delete_pod"
        self._deleted = metrics.counter(registry, f"{name}s_total", "Pods deleted", labels)
        self._failed = metrics.counter(
            registry, f"{name}_errors_total", "Pods that could not be deleted", labels
        )

    async def run(self) -> None:
        """Collect every 20 s until cancelled."""
        await self._pods.synced()
        await self._nodes.synced()
        while True:
            await self.collect()
            clock = self._env.clock
            # A node that is missing has its time until it is gone.
            await (clock.sleep(PERIOD) if self._missing else clock.tick(PERIOD))

    async def collect(self) -> None:
        """Collect once."""
        every = self._pods.list()
        nodes = {node.metadata.name: node for node in self._nodes.list()}
        actions = {
            action.pod.metadata.uid: (action, reason)
            for found, reason in (
                (plan_pods.surplus(every, self._limit), "terminated"),
                (plan_pods.abandoned(every, nodes), "out-of-service"),
                (plan_pods.orphans(every, await self._gone(every, nodes)), "orphaned"),
                (plan_pods.unscheduled(every), "unscheduled"),
            )
            for action in found
        }
        for action, reason in actions.values():
            await self._delete(action, reason)

    async def _gone(self, every: list[Pod], nodes: dict[str, Node]) -> set[str]:
        """The nodes of pods that have been missing for 40 s, and of which the API server says so
        as well."""
        now = self._env.clock.monotonic()
        missing = {pod.spec.nodeName for pod in every if pod.spec.nodeName} - nodes.keys()
        self._missing = {name: self._missing.get(name, now) for name in sorted(missing)}
        gone = set()
        for name, since in self._missing.items():
            if now - since >= QUARANTINE and not await self._exists(name):
                gone.add(name)
        return gone

    async def _exists(self, name: str) -> bool:
        try:
            await self._client.get(Node, name)
        except (errors.ApiError, OSError, Unreadable) as error:
            if errors.is_not_found(error):
                return False
            self._env.log.warning("node %s: whether it is there is not known: %s", name, error)
        return True

    async def _delete(self, action: plan_pods.Delete, reason: str) -> None:
        pod = action.pod.metadata
        try:
            patch = plan_pods.failed(action, self._env.clock.now())
            if patch is not None:
                await self._client.patch(Pod, pod.name, pod.namespace, patch, "strategic", "status")
            options = meta.DeleteOptions(
                gracePeriodSeconds=0, preconditions=meta.Preconditions(uid=pod.uid)
            )
            await self._client.delete(Pod, pod.name, pod.namespace, options)
            self._deleted.labels(pod.namespace, reason).inc()
        except (errors.ApiError, OSError, Unreadable) as error:
            # Retried after PERIOD.
            if not errors.is_not_found(error):
                self._failed.labels(pod.namespace, reason).inc()
                self._env.log.warning("pod %s/%s: %s", pod.namespace, pod.name, error)


CONTROLLER = Definition("pod-garbage-collector-controller", make, account="pod-garbage-collector")
