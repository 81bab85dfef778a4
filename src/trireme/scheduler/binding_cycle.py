"""The binding cycle: bindings, conditions and evictions, written through the API.

In: a pod with its node, or with the diagnosis. Out: requests, and events for users. Nothing is
decided here. Binding: POST pods/binding; status: the condition PodScheduled; eviction: the
condition DisruptionTarget, then a delete with the pod's own grace period.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from trireme.api.core.v1.pod.binding import Binding
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.references import ObjectReference
from trireme.client.client import Client
from trireme.client.codec import Unreadable
from trireme.kit.env import Env
from trireme.machinery import errors, time
from trireme.machinery.meta import DeleteOptions, ObjectMeta, Preconditions
from trireme.machinery.status import Status
from trireme.runtime import recorder
from trireme.runtime.recorder import EventRecorder
from trireme.scheduler import preempt

ERRORS = (errors.ApiError, OSError, Unreadable)


class BindingCycle:
    """Writes as one scheduler, whose profile is called ``name``."""

    def __init__(self, client: Client, recorder: EventRecorder, name: str, env: Env) -> None:
        self._client = client
        self._recorder = recorder
        self._name = name
        self._env = env

    async def bind(self, pod: Pod, node: str) -> None:
        """Bind a pod to a node. Raises ApiError and Unreachable."""
        meta = pod.metadata
        binding = Binding(
            metadata=ObjectMeta(name=meta.name, namespace=meta.namespace, uid=meta.uid),
            target=ObjectReference(kind="Node", name=node),
        )
        await self._client.create_subresource(
            Pod, meta.name, meta.namespace, "binding", binding, Status
        )
        text = f"Successfully assigned {meta.namespace}/{meta.name} to {node}"
        self._recorder.event(pod, "Normal", "Scheduled", text, action="Binding")

    async def report_unschedulable(self, pod: Pod, text: str, nomination: str | None) -> None:
        """Write the condition PodScheduled and an event. ``nomination`` is the nominated node, ""
        for none; None leaves it unchanged."""
        self._recorder.event(pod, "Warning", "FailedScheduling", text, action="Scheduling")
        status: dict[str, Any] = {}
        condition = self._condition(pod, "PodScheduled", "False", "Unschedulable", text)
        if condition is not None:
            status["conditions"] = [condition]
        if nomination is not None and nomination != pod.status.nominatedNodeName:
            status["nominatedNodeName"] = nomination or None
        await self._patch_status(pod, status, "condition")

    async def evict(
        self, victims: Sequence[Pod], node: str, preemptor: Pod, demoted: Sequence[Pod]
    ) -> None:
        """Preempt on a node: ``demoted`` lose their nomination to it, ``victims`` are deleted."""
        for pod in demoted:
            await self._patch_status(pod, {"nominatedNodeName": None}, "nomination")
        await asyncio.gather(*(self._evict(pod, node, preemptor) for pod in victims))

    async def _evict(self, victim: Pod, node: str, preemptor: Pod) -> None:
        meta = victim.metadata
        if meta.deletionTimestamp is not None:
            # It is being deleted already.
            return
        text = f"{self._name}: preempting to accommodate a higher priority pod"
        condition = self._condition(victim, "DisruptionTarget", "True", preempt.PREEMPTED, text)
        if condition is not None:
            await self._patch_status(victim, {"conditions": [condition]}, "condition")
        try:
            options = DeleteOptions(preconditions=Preconditions(uid=meta.uid))
            await self._client.delete(Pod, meta.name, meta.namespace, options)
        except ERRORS as error:
            if not errors.is_not_found(error):
                self._env.log.warning("evicting %s/%s: %s", meta.namespace, meta.name, error)
            return
        self._recorder.event(
            victim,
            "Normal",
            "Preempted",
            f"Preempted by pod {preemptor.metadata.uid} on node {node}",
            action="Preempting",
            related=recorder.reference(preemptor),
        )

    def _condition(
        self, pod: Pod, kind: str, status: str, reason: str, text: str
    ) -> dict[str, Any] | None:
        """The condition to be patched in; None when the pod has it already."""
        known = next((item for item in pod.status.conditions if item.type == kind), None)
        moment = time.format(self._env.clock.now())
        if known is not None:
            if (known.status, known.reason, known.message) == (status, reason, text):
                return None
            if known.status == status and known.lastTransitionTime:
                moment = known.lastTransitionTime
        condition: dict[str, Any] = {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": text,
            "lastTransitionTime": moment,
        }
        if pod.metadata.generation:
            condition["observedGeneration"] = pod.metadata.generation
        return condition

    async def _patch_status(self, pod: Pod, status: dict[str, Any], what: str) -> None:
        if not status:
            return
        meta = pod.metadata
        # The uid refuses another pod of the same name.
        patch = {"metadata": {"uid": meta.uid}, "status": status}
        try:
            await self._client.patch(
                Pod, meta.name, meta.namespace, patch, kind="strategic", subresource="status"
            )
        except ERRORS as error:
            if not errors.is_not_found(error):
                self._env.log.warning("%s of %s/%s: %s", what, meta.namespace, meta.name, error)
