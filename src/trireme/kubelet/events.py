"""Events about pods, their containers and claims, and the node.

In: an object, reason and message. Out: calls of the event recorder. Called everywhere in the
kubelet. Reasons and messages are upstream's, because people and programs match them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from trireme.api.core import v1 as core
from trireme.kubelet import podspec

NORMAL = "Normal"
WARNING = "Warning"


class Recorder(Protocol):
    """The part of ``runtime.recorder.EventRecorder`` that is used here."""

    def event(
        self,
        obj: object,
        type: str,
        reason: str,
        message: str,
        *,
        annotations: Mapping[str, str] | None = None,
    ) -> None: ...


class Events:
    """``node`` is the reference for events about the node."""

    def __init__(self, recorder: Recorder, node: core.ObjectReference) -> None:
        self._recorder = recorder
        self._node = node

    def pod(
        self,
        pod: core.Pod,
        kind: str,
        reason: str,
        message: str,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        self._recorder.event(_reference(pod), kind, reason, message, annotations=annotations)

    def claim(
        self, claim: core.PersistentVolumeClaim, kind: str, reason: str, message: str
    ) -> None:
        meta = claim.metadata
        reference = core.ObjectReference(
            kind="PersistentVolumeClaim",
            apiVersion="v1",
            namespace=meta.namespace,
            name=meta.name,
            uid=meta.uid,
            resourceVersion=meta.resourceVersion,
        )
        self._send(reference, kind, reason, message)

    def container(
        self,
        pod: core.Pod,
        name: str,
        kind: str,
        reason: str,
        message: str,
        container_id: str = "",
    ) -> None:
        """``container_id`` is replaced by the name, so that repeated events are correlated."""
        reference = _reference(pod)
        reference.fieldPath = podspec.field_path(pod, name)
        if container_id:
            message = message.replace(container_id, name)
        self._send(reference, kind, reason, message)

    def node(self, kind: str, reason: str, message: str) -> None:
        self._send(self._node, kind, reason, message)

    def _send(self, of: core.ObjectReference, kind: str, reason: str, message: str) -> None:
        self._recorder.event(of, kind, reason, message)


def _reference(pod: core.Pod) -> core.ObjectReference:
    return core.ObjectReference(
        kind="Pod",
        apiVersion="v1",
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        uid=pod.metadata.uid,
        resourceVersion=pod.metadata.resourceVersion,
    )
