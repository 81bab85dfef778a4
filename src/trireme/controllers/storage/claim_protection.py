"""A PersistentVolumeClaim that a pod uses is not deleted before the pod.

In: claims and pods. Out: the finalizer kubernetes.io/pvc-protection. Run by ``manager``. Upstream:
pkg/controller/volume/pvcprotection;
https://kubernetes.io/docs/concepts/storage/persistent-volumes/#storage-object-in-use-protection.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.core.v1.pod.pod import Pod
from trireme.client.resource_interface import DELETED
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.storage import protection
from trireme.domain import owners, pod_references, pods, volumes
from trireme.runtime.controller import Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key


def make(context: ControllerContext) -> Controller:
    """Reconciles claims that are deleted or lack the finalizer."""
    informer = context.informers.of(Pod)
    informer.add_index(by_claims)

    async def is_used(claim: PersistentVolumeClaim) -> bool:
        meta = claim.metadata
        known = informer.by_index(by_claims, (meta.namespace, meta.name))
        if any(uses(pod, claim) for pod in known):
            return True
        # A cache may lag behind: that no pod uses it is believed of the API server only.
        live = await context.client.list(Pod, meta.namespace)
        return any(uses(pod, claim) for pod in live.items)

    def released(event: Event[Pod]) -> Iterable[Key]:
        """The claims of a pod that is gone, has ended, or has just been scheduled no longer."""
        pod = event.object
        over = event.type == DELETED or pods.is_finished(pod) or _is_shut_down(pod)
        if over or not pod.spec.nodeName:
            names = pod_references.claims(pod)
            return [Key(pod.metadata.namespace, name) for name in names]
        return ()

    return protection.controller(
        "pvcprotection",
        context,
        context.informers.of(PersistentVolumeClaim),
        volumes.PVC_PROTECTION,
        is_used,
        [(informer, released)],
    )


def uses(pod: Pod, claim: PersistentVolumeClaim) -> bool:
    """Whether the pod, which has a node, uses the claim. One that is not scheduled yet will not be
    started with a claim that is deleted."""
    if not pod.spec.nodeName:
        return False
    name = claim.metadata.name
    for volume in pod.spec.volumes:
        named = volume.persistentVolumeClaim
        if named is not None and named.claimName == name:
            return True
        own = volume.ephemeral is not None and f"{pod.metadata.name}-{volume.name}" == name
        if own and owners.controls(pod, claim.metadata) and not _is_shut_down(pod):
            return True
    return False


def _is_shut_down(pod: Pod) -> bool:
    meta = pod.metadata
    return meta.deletionTimestamp is not None and meta.deletionGracePeriodSeconds == 0


def by_claims(pod: Pod) -> Iterable[Hashable]:
    """Index of pods: (namespace, name) of each claim."""
    return [(pod.metadata.namespace, name) for name in pod_references.claims(pod)]


CONTROLLER = Definition(
    "persistentvolumeclaim-protection-controller", make, account="pvc-protection-controller"
)
