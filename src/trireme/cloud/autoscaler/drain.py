"""Remove one node: taint it, evict its pods, delete its machine.

In: a node that ``plan_scale_down`` chose, with the pods that must move. Out: a deleted machine, or
the node as it was; events. Called by ``loop``, in a task for each node. The Node itself is deleted
by the cloud-node-lifecycle controller once it is not ready. Upstream: cluster-autoscaler
core/scaledown/actuation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.references import ObjectReference
from trireme.api.core.v1.selection import Taint
from trireme.api.policy.v1.eviction import Eviction
from trireme.client.client import Client
from trireme.client.codec import Unreadable
from trireme.cloud import taints
from trireme.cloud.autoscaler.plan_scale_down import Removal
from trireme.cloud.autoscaler.settings import Settings
from trireme.cloud.contract import NodeGroups
from trireme.kit.env import Env
from trireme.machinery import errors, meta
from trireme.machinery.errors import ApiError
from trireme.machinery.status import Status
from trireme.runtime.informer import Informer
from trireme.runtime.recorder import NORMAL, WARNING, EventRecorder

RETRY = 10.0
POLL = 1.0
# Beside what pods may take to end.
HEADROOM = 30.0
# Between the taint and the deletion of an empty node, for pods that are just being bound.
DELAY = 5.0
_ERRORS = (ApiError, OSError, Unreadable)


class Drainer:
    """Removes nodes. ``about`` is what events about the whole are about: the status ConfigMap."""

    def __init__(
        self,
        client: Client,
        groups: NodeGroups,
        pods: Informer[Pod],
        events: EventRecorder,
        env: Env,
        settings: Settings,
        about: ObjectReference,
    ) -> None:
        self._client = client
        self._groups = groups
        self._pods = pods
        self._events = events
        self._env = env
        self._settings = settings
        self._about = about

    async def remove(self, removal: Removal, group: str) -> bool:
        """Whether the machine is deleted; if not, the node is as it was."""
        node, name = removal.node, removal.node.metadata.name
        self._announce(removal)
        try:
            await self.mark(node)
        except _ERRORS as error:
            text = f"failed to mark the node as toBeDeleted/unschedulable: {error}"
            self._events.event(node, WARNING, "ScaleDownFailed", text)
            return False
        text = "marked the node as toBeDeleted/unschedulable"
        self._events.event(node, NORMAL, "ScaleDown", text)
        problem = "failed to drain the node, aborting ScaleDown"
        try:
            if removal.pods:
                await self._drain(removal.pods)
            else:
                await self._env.clock.sleep(DELAY)
            problem = "failed to delete the node"
            await self._groups.delete_instances(group, [node.spec.providerID])
        except Exception as error:
            self._env.log.warning("node %s: %s: %s", name, problem, error)
            self._events.event(node, WARNING, "ScaleDownFailed", f"{problem}: {error}")
            await self._unmark_quietly(name)
            return False
        self._events.event(node, NORMAL, "ScaleDown", "node removed by cluster autoscaler")
        if removal.pods:
            text = f"Scale-down: node {name} removed with drain"
            self._events.event(self._about, NORMAL, "ScaleDown", text)
        else:
            text = f"Scale-down: empty node {name} removed"
            self._events.event(self._about, NORMAL, "ScaleDownEmpty", text)
        return True

    def _announce(self, removal: Removal) -> None:
        name = removal.node.metadata.name
        if not removal.pods:
            text = f'Scale-down: removing empty node "{name}"'
            self._events.event(self._about, NORMAL, "ScaleDownEmpty", text)
            return
        names = ",".join(pod.metadata.name for pod in removal.pods)
        text = (
            f"Scale-down: removing node {name}, utilization: {removal.utilization:.3f}, "
            f"pods to reschedule: {names}"
        )
        self._events.event(self._about, NORMAL, "ScaleDown", text)

    async def mark(self, node: Node) -> None:
        """No pod is to come any more."""
        stamp = str(int(self._env.clock.now()))
        taint = Taint(key=taints.TO_BE_DELETED, value=stamp, effect="NoSchedule")
        current = await self._client.get(Node, node.metadata.name)
        kept = [one for one in current.spec.taints if one.key != taints.TO_BE_DELETED]
        await self._patch(current, [*kept, taint], unschedulable=True)

    async def unmark(self, name: str) -> None:
        """Pods may come again."""
        current = await self._client.get(Node, name)
        ours = (taints.TO_BE_DELETED, taints.DELETION_CANDIDATE)
        kept = [one for one in current.spec.taints if one.key not in ours]
        await self._patch(current, kept, unschedulable=None)

    async def _unmark_quietly(self, name: str) -> None:
        try:
            await self.unmark(name)
        except _ERRORS as error:
            # The loop takes the taint off later.
            self._env.log.warning("node %s: its taint stays: %s", name, error)

    async def _patch(self, node: Node, desired: list[Taint], unschedulable: bool | None) -> None:
        change = {
            "metadata": {"resourceVersion": node.metadata.resourceVersion},
            "spec": {"taints": desired or None, "unschedulable": unschedulable},
        }
        await self._client.patch(Node, node.metadata.name, None, change)

    async def _drain(self, pods: Sequence[Pod]) -> None:
        """Evict all and wait until they are gone. NotDrained."""
        until = self._env.clock.monotonic() + self._settings.eviction_time
        results = await asyncio.gather(*(self._evict(pod, until) for pod in pods))
        problems = [problem for problem in results if problem]
        if problems:
            raise NotDrained("; ".join(problems))
        longest = max(self._grace(pod) for pod in pods)
        end = self._env.clock.monotonic() + longest + HEADROOM
        while left := [pod for pod in pods if self._is_there(pod)]:
            if self._env.clock.monotonic() > end:
                raise NotDrained(f"pods are still there: {_names(left)}")
            await self._env.clock.sleep(POLL)

    async def _evict(self, pod: Pod, until: float) -> str:
        """Evict one pod, again until ``until``; returns what is in the way, "" for nothing."""
        metadata = pod.metadata
        # Another one may have come under the name, on another node.
        options = meta.DeleteOptions(
            gracePeriodSeconds=self._grace(pod),
            preconditions=meta.Preconditions(uid=metadata.uid),
        )
        eviction = Eviction(
            metadata=meta.ObjectMeta(name=metadata.name, namespace=metadata.namespace),
            deleteOptions=options,
        )
        self._events.event(pod, NORMAL, "ScaleDown", "deleting pod for node scale down")
        while True:
            try:
                await self._client.create_subresource(
                    Pod, metadata.name, metadata.namespace, "eviction", eviction, Status
                )
                return ""
            except _ERRORS as error:
                if errors.is_not_found(error) or errors.is_conflict(error):
                    return ""
                problem = f"{metadata.namespace}/{metadata.name}: {error}"
            if self._env.clock.monotonic() + RETRY > until:
                text = "failed to delete pod for ScaleDown"
                self._events.event(pod, WARNING, "ScaleDownFailed", text)
                return problem
            await self._env.clock.sleep(RETRY)

    def _grace(self, pod: Pod) -> int:
        grace = pod.spec.terminationGracePeriodSeconds
        return min(30 if grace is None else grace, self._settings.graceful_termination)

    def _is_there(self, pod: Pod) -> bool:
        found = self._pods.get(pod.metadata.namespace, pod.metadata.name)
        return (
            found is not None
            and found.metadata.uid == pod.metadata.uid
            and found.spec.nodeName == pod.spec.nodeName
        )


class NotDrained(Exception):
    """Some pod could not be evicted, or does not end."""


def _names(pods: Sequence[Pod]) -> str:
    return ", ".join(f"{pod.metadata.namespace}/{pod.metadata.name}" for pod in pods)
