"""Nominated pods: they wait for the victims on their nominated node to end.

In: pods with ``status.nominatedNodeName``, or for which victims were just evicted. Out: for a pod
to be scheduled, the nominated pods that count as running on each node. Upstream: the nominator.
"""

from __future__ import annotations

from trireme.api.core.v1.pod.pod import Pod
from trireme.scheduler.framework import PodInfo


class Nominations:
    """Nominations by pod and by node."""

    def __init__(self) -> None:
        self._node: dict[str, str] = {}
        self._pods: dict[str, dict[str, Pod]] = {}

    def set(self, pod: Pod, node: str) -> None:
        """Nominate a pod to a node, "" for none."""
        uid = pod.metadata.uid
        self.drop(uid)
        if node:
            self._node[uid] = node
            self._pods.setdefault(node, {})[uid] = pod

    def drop(self, uid: str) -> None:
        """A pod is assumed, deleted, or no longer nominated."""
        node = self._node.pop(uid, None)
        if node is not None:
            del self._pods[node][uid]
            if not self._pods[node]:
                del self._pods[node]

    def node_of(self, uid: str) -> str:
        """The nominated node of a pod, "" for none."""
        return self._node.get(uid, "")

    def ahead_of(self, pod_info: PodInfo) -> dict[str, list[Pod]]:
        """By node, the other nominated pods of the pod's priority or above."""
        if not self._pods:
            return {}
        own = pod_info.pod.metadata.uid
        found = {
            node: [
                pod
                for uid, pod in pods.items()
                if uid != own and (pod.spec.priority or 0) >= pod_info.priority
            ]
            for node, pods in self._pods.items()
        }
        return {node: pods for node, pods in found.items() if pods}

    def below(self, node: str, priority: int) -> list[Pod]:
        """The pods of lower priority that are nominated to a node."""
        pods = self._pods.get(node, {}).values()
        return [pod for pod in pods if (pod.spec.priority or 0) < priority]
