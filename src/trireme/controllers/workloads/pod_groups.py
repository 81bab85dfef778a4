"""A PodGroup that pods belong to is not deleted before they have ended.

In: PodGroups and pods. Out: PodGroups that are deleted lose the finalizer, which the admission
plugin PodGroupProtection gives them. Run by ``manager`` with the feature gate GenericWorkload.
Upstream: pkg/controller/scheduling/podgroupprotection; KEP-4671.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from msgspec.structs import replace

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.scheduling.v1alpha2 import podgroup
from trireme.api.scheduling.v1alpha2.podgroup import PodGroup
from trireme.client.resource_interface import DELETED
from trireme.controllers.definition import ControllerContext, Definition
from trireme.domain import pods
from trireme.machinery import errors
from trireme.runtime import triggers
from trireme.runtime.controller import Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key


def make(context: ControllerContext) -> Controller:
    """Reconciles PodGroups that are deleted."""
    informer, groups = context.informers.of(Pod), context.informers.of(PodGroup)
    informer.add_index(by_group)
    finalizer = podgroup.PROTECTION

    async def reconcile(key: Key) -> None:
        group = groups.get(*key)
        if group is None or group.metadata.deletionTimestamp is None:
            return
        finalizers = group.metadata.finalizers
        if finalizer not in finalizers or informer.by_index(by_group, key):
            return
        left = [item for item in finalizers if item != finalizer]
        changed = replace(group, metadata=replace(group.metadata, finalizers=left))
        try:
            await context.client.update(changed)
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise

    def ended(event: Event[Pod]) -> Iterable[Key]:
        gone = event.type == DELETED or pods.is_finished(event.object)
        return _group(event.object) if gone else ()

    return Controller(
        "podgroupprotection",
        reconcile,
        context.env,
        triggers=[(groups, triggers.own()), (informer, ended)],
    )


def by_group(pod: Pod) -> Iterable[Hashable]:
    """Index of pods that have not ended: their PodGroup."""
    return () if pods.is_finished(pod) else _group(pod)


def _group(pod: Pod) -> list[Key]:
    group = pod.spec.schedulingGroup
    name = group.podGroupName if group is not None else None
    return [Key(pod.metadata.namespace, name)] if name else []


CONTROLLER = Definition("podgroup-protection-controller", make, gate="GenericWorkload")
