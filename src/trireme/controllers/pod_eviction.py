"""A pod is deleted because it has to leave its node, and says so before it goes.

In: a pod as a cache has it. Out: its condition DisruptionTarget, then its deletion. Called by the
controllers that evict by taints. KEP-3329;
https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions.
"""

from __future__ import annotations

from trireme.api.core.v1.pod.pod import Pod
from trireme.client.client import Client
from trireme.machinery import errors, meta, time


async def evict(client: Client, pod: Pod, reason: str, message: str, now: float) -> bool:
    """Whether it was this very pod that was deleted: not one of its name that came after it."""
    metadata = pod.metadata
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": time.format(now),
    }
    # Behind those that there are, as upstream; without the order it would come first.
    there = [item.type for item in pod.status.conditions if item.type != condition["type"]]
    order = [{"type": kind} for kind in (*there, condition["type"])]
    status = {"conditions": [condition], "$setElementOrder/conditions": order}
    patch = {"metadata": {"uid": metadata.uid}, "status": status}
    options = meta.DeleteOptions(preconditions=meta.Preconditions(uid=metadata.uid))
    place = (metadata.name, metadata.namespace)
    try:
        await client.patch(Pod, *place, patch, "strategic", "status")
        await client.delete(Pod, *place, options)
    except errors.ApiError as error:
        if not errors.is_not_found(error):
            raise
        return False
    return True
