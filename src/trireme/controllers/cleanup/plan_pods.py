"""Pods that no other component deletes. Pure.

In: pods, nodes, the time. Out: which to delete, and the status to write first. Called by
``pod_garbage``. Upstream: pkg/controller/podgc;
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-garbage-collection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.domain import pods
from trireme.machinery import time

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
_UNFINISHED = ("Pending", "Running", "Unknown", "")


class Delete(msgspec.Struct, frozen=True):
    """Delete the pod at once. ``orphaned``: its node is gone, which its status says first."""

    pod: Pod
    orphaned: bool = False


def surplus(every: Iterable[Pod], limit: int) -> list[Delete]:
    """The finished pods beyond ``limit``: evicted ones first, then the oldest."""
    finished = [pod for pod in every if pod.status.phase not in _UNFINISHED]
    count = len(finished) - limit
    if limit <= 0 or count <= 0:
        return []
    finished.sort(key=lambda pod: (pod.status.reason != "Evicted", _created(pod)))
    return [Delete(pod) for pod in finished[:count]]


def orphans(every: Iterable[Pod], gone: Collection[str]) -> list[Delete]:
    """The pods of nodes that are known to be gone."""
    return [Delete(pod, orphaned=True) for pod in every if pod.spec.nodeName in gone]


def unscheduled(every: Iterable[Pod]) -> list[Delete]:
    """Pods that are being deleted and never got to a node: there is no kubelet to end them."""
    return [
        Delete(pod)
        for pod in every
        if pod.metadata.deletionTimestamp is not None and not pod.spec.nodeName
    ]


def abandoned(every: Iterable[Pod], nodes: Mapping[str, Node]) -> list[Delete]:
    """Pods that are being deleted on a node which an administrator took out of service."""
    found = []
    for pod in every:
        node = nodes.get(pod.spec.nodeName)
        if pod.metadata.deletionTimestamp is None or node is None:
            continue
        ready = any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)
        out = any(taint.key == OUT_OF_SERVICE for taint in node.spec.taints)
        if out and not ready:
            found.append(Delete(pod))
    return found


def failed(action: Delete, now: float) -> dict[str, object] | None:
    """The status with which a pod that has not finished is deleted, as a strategic merge patch;
    None for one that has."""
    if pods.is_finished(action.pod):
        return None
    status: dict[str, object] = {"phase": "Failed"}
    if action.orphaned:
        status["conditions"] = [
            {
                "type": "DisruptionTarget",
                "status": "True",
                "reason": "DeletionByPodGC",
                "message": "PodGC: node no longer exists",
                "lastTransitionTime": time.format(now),
            }
        ]
    return {"metadata": {"uid": action.pod.metadata.uid}, "status": status}


def _created(pod: Pod) -> tuple[str, str]:
    return (pod.metadata.creationTimestamp or "", pod.metadata.name)
