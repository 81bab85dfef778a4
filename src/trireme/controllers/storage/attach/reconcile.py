"""Volumes of CSI drivers are attached to the nodes of the pods that use them, and detached.

In: pods, claims, volumes, nodes, CSIDrivers, VolumeAttachments. Out: VolumeAttachments, which the
driver's external attacher acts on; ``volumesAttached`` of nodes; events. A volume that a node has
mounted stays attached, unless the node is out of service, or unhealthy for six minutes. Keys are
nodes. Run by ``manager``. Upstream: pkg/controller/volume/attachdetach; KEP-2268.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Final

import msgspec
from prometheus_client.metrics_core import Metric

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.storage.v1.csidriver import CSIDriver
from trireme.api.storage.v1.volumeattachment import (
    VolumeAttachment,
    VolumeAttachmentSource,
    VolumeAttachmentSpec,
)
from trireme.client.resource_interface import DELETED
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.storage.attach import plan_attach
from trireme.controllers.storage.attach.plan_attach import Desired
from trireme.domain import pod_references, volumes
from trireme.kit import metrics
from trireme.machinery import errors, gotext, meta
from trireme.runtime import recorder, triggers
from trireme.runtime.controller import After, Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key
from trireme.runtime.written import WAIT, Written

WORKERS: Final = 10
# How soon a volume is tried again that another node has, in seconds.
BLOCKED: Final = 1.0


class AttachDetach:
    """The state of the controller: caches, and since when attachments are needed no longer."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._events = context.recorder
        self._clock = context.env.clock
        self._written = Written(context.env.clock)
        registry = context.env.metrics
        self._forced = metrics.plain_counter(
            registry,
            "attach_detach_controller_attachdetach_controller_forced_detaches",
            "Volumes detached from nodes that did not say that they are unmounted",
            ["reason"],
        )
        metrics.collected(
            registry,
            self._collect,
            "attachdetach_controller_total_volumes",
            "storage_count_attachable_volumes_in_use",
        )
        self._max_wait = (
            math.inf
            if context.settings.storage.no_force_detach
            else plan_attach.MAX_WAIT_FOR_UNMOUNT
        )
        self._undesired: dict[str, dict[str, float]] = {}
        # The last error of each volume that a pod has an event of, by the pod's uid.
        self._reported: dict[str, dict[str, str]] = {}
        # Nodes to which a volume is being attached that only one may have.
        self._attaching: dict[str, str] = {}
        informers = context.informers
        self._pods = informers.of(Pod)
        self._claims = informers.of(PersistentVolumeClaim)
        self._volumes = informers.of(PersistentVolume)
        self._nodes = informers.of(Node)
        self._drivers = informers.of(CSIDriver)
        self._attachments = informers.of(VolumeAttachment)
        self._pods.add_index(with_claims_by_node)
        self._pods.add_index(by_claims)
        self._attachments.add_index(by_node)
        self._attachments.add_index(by_volume)
        self.loop = Controller(
            "attachdetach",
            self.reconcile,
            context.env,
            triggers=[
                (self._pods, self._of_pod),
                (self._claims, triggers.mapped(self._nodes_of_claim)),
                (self._volumes, triggers.mapped(self._nodes_of_volume)),
                (self._nodes, triggers.own()),
                (self._drivers, lambda event: ()),
                (self._attachments, self._of_attachment),
            ],
            workers=WORKERS,
        )

    async def reconcile(self, key: Key) -> After | None:
        """Bring one node's attachments in line with its pods."""
        if not self._written.visible(key):
            return WAIT
        node = self._nodes.get("", key.name)
        here = self._attachments.by_index(by_node, key.name)
        desired = plan_attach.desired(
            self._pods.by_index(with_claims_by_node, key.name),
            self._claims.get,
            lambda name: self._volumes.get("", name),
            self._is_attachable,
        )
        now = self._clock.monotonic()
        since = self._note_undesired(key.name, here, desired, now)
        plan = plan_attach.plan(
            node,
            desired,
            here,
            lambda name: self._elsewhere(name, key.name),
            lambda name: self._volumes.get("", name),
            since,
            now,
            self._max_wait,
        )
        # Reported first: a node may not mount what it no longer has.
        if node is not None and plan.reported != node.status.volumesAttached:
            await self._report(node, plan)
        for attachment in plan.detach:
            reason = plan_attach.forced(node, self._volume_of(attachment))
            if reason:
                self._forced.labels(reason).inc()
            await self._detach(key, attachment)
        for needed in plan.attach:
            await self._attach(key, needed)
        for needed, others in plan.blocked:
            self._note_blocked(key.name, needed, others)
        if plan.blocked:
            return After(BLOCKED)
        return None if plan.wait in (None, math.inf) else After(plan.wait)

    def _volume_of(self, attachment: VolumeAttachment) -> PersistentVolume | None:
        return self._volumes.get("", attachment.spec.source.persistentVolumeName or "")

    def _collect(self) -> Iterable[Metric]:
        """Counted when they are read: volumes that are, and should be, attached."""
        states: Counter[tuple[str, ...]] = Counter()
        in_use: Counter[tuple[str, ...]] = Counter()
        for item in self._attachments.list():
            if item.status.attached:
                states[f"kubernetes.io/csi:{item.spec.attacher}", "actual_state_of_world"] += 1
        for node in self._nodes.list():
            name = node.metadata.name
            found = plan_attach.desired(
                self._pods.by_index(with_claims_by_node, name),
                self._claims.get,
                lambda volume: self._volumes.get("", volume),
                self._is_attachable,
            )
            for needed in found.values():
                csi = needed.volume.spec.csi
                plugin = f"kubernetes.io/csi:{csi.driver}" if csi is not None else "N/A"
                states[plugin, "desired_state_of_world"] += 1
                in_use[name, plugin] += len(needed.pods)
        yield metrics.counted(
            "attachdetach_controller_total_volumes",
            "Volumes that are, and should be, attached",
            ["plugin_name", "state"],
            states,
        )
        yield metrics.counted(
            "storage_count_attachable_volumes_in_use",
            "Attachable volumes of the pods of a node",
            ["node", "volume_plugin"],
            in_use,
        )

    def _note_undesired(
        self, node: str, here: list[VolumeAttachment], desired: dict[str, Desired], now: float
    ) -> dict[str, float]:
        before = self._undesired.pop(node, {})
        names = {item.spec.source.persistentVolumeName or "" for item in here} - desired.keys()
        since = {name: before.get(name, now) for name in names}
        if since:
            self._undesired[node] = since
        return since

    def _is_attachable(self, driver: str) -> bool:
        found = self._drivers.get("", driver)
        return found is None or found.spec.attachRequired is not False

    def _elsewhere(self, volume: str, node: str) -> set[str]:
        found = self._attachments.by_index(by_volume, volume)
        nodes = {item.spec.nodeName for item in found}
        if volume in self._attaching:
            nodes.add(self._attaching[volume])
        return nodes - {node}

    async def _report(self, node: Node, plan: plan_attach.Plan) -> None:
        before = {item.name for item in node.status.volumesAttached}
        patch = {"status": {"volumesAttached": msgspec.to_builtins(plan.reported)}}
        name = node.metadata.name
        try:
            await self._client.patch(Node, name, "", patch, "merge", "status")
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise
            return
        for item in plan.reported:
            if item.name not in before:
                self._note_attached(name, item.name)

    async def _attach(self, key: Key, needed: Desired) -> None:
        volume = needed.volume
        assert volume.spec.csi is not None
        source = VolumeAttachmentSource(persistentVolumeName=volume.metadata.name)
        made = VolumeAttachment(
            metadata=meta.ObjectMeta(name=volumes.attachment_name(volume, key.name)),
            spec=VolumeAttachmentSpec(
                attacher=volume.spec.csi.driver, source=source, nodeName=key.name
            ),
        )
        alone = not plan_attach.is_shared(volume)
        if alone and self._attaching.setdefault(volume.metadata.name, key.name) != key.name:
            # Another worker was faster.
            self.loop.queue.add_after(key, BLOCKED)
            return
        try:
            stored = await self._client.create(made)
        except errors.ApiError as error:
            self._attaching.pop(volume.metadata.name, None)
            if errors.is_already_exists(error):
                return
            for pod in needed.pods:
                name = gotext.quote(volume.metadata.name)
                message = f"AttachVolume.Attach failed for volume {name} : {error}"
                self._events.event(pod, recorder.WARNING, "FailedAttachVolume", message)
            raise
        self._written.wrote(key, self._attachments, stored)

    async def _detach(self, key: Key, attachment: VolumeAttachment) -> None:
        name = attachment.metadata.name
        if attachment.metadata.deletionTimestamp is not None:
            return
        try:
            await self._client.delete(VolumeAttachment, name)
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise
            return
        self._written.deleted(key, self._attachments, attachment)

    def _note_attached(self, node: str, unique: str) -> None:
        for pod, volume in self._users(node):
            if volumes.unique_name(volume) == unique:
                name = gotext.quote(volume.metadata.name)
                message = f"AttachVolume.Attach succeeded for volume {name} "
                self._events.event(pod, recorder.NORMAL, "SuccessfulAttachVolume", message)

    def _note_blocked(self, node: str, needed: Desired, others: list[str]) -> None:
        """Tell the pods who has the volume, once."""
        name = needed.volume.metadata.name
        theirs = [
            pod
            for other in others
            for pod, volume in self._users(other)
            if volume.metadata.name == name
        ]
        for pod in needed.pods:
            local = [p for p in theirs if p.metadata.namespace == pod.metadata.namespace]
            foreign = len(theirs) - len(local)
            if not theirs:
                detail = (
                    "Volume is already exclusively attached to one node and can't be attached to "
                    "another"
                )
            elif local:
                listed = ", ".join(sorted(p.metadata.name for p in local))
                detail = f"Volume is already used by pod(s) {listed}"
                if foreign:
                    detail += f" and {foreign} pod(s) in different namespaces"
            else:
                detail = f"Volume is already used by {foreign} pod(s) in different namespaces"
            message = f"Multi-Attach error for volume {gotext.quote(name)} {detail}"
            self._note_once(pod, name, message)

    def _note_once(self, pod: Pod, volume: str, message: str) -> None:
        known = self._reported.setdefault(pod.metadata.uid, {})
        if known.get(volume) != message:
            known[volume] = message
            self._events.event(pod, recorder.WARNING, "FailedAttachVolume", message)

    def _users(self, node: str) -> list[tuple[Pod, PersistentVolume]]:
        """The pods of a node with the volumes that they need there."""
        desired = plan_attach.desired(
            self._pods.by_index(with_claims_by_node, node),
            self._claims.get,
            lambda name: self._volumes.get("", name),
            self._is_attachable,
        )
        return [(pod, item.volume) for item in desired.values() for pod in item.pods]

    def _of_attachment(self, event: Event[VolumeAttachment]) -> Iterable[Key]:
        """Its node; an error of the attacher becomes the pods' event."""
        attachment = event.object
        failure = attachment.status.attachError
        node = attachment.spec.nodeName
        self._attaching.pop(attachment.spec.source.persistentVolumeName or "", None)
        if failure is not None and event.old is not None and event.old.status != attachment.status:
            name = attachment.spec.source.persistentVolumeName or ""
            for pod, volume in self._users(node):
                if volume.metadata.name == name:
                    quoted = gotext.quote(name)
                    message = f"AttachVolume.Attach failed for volume {quoted} : {failure.message}"
                    self._note_once(pod, name, message)
        return [Key("", node)]

    def _of_pod(self, event: Event[Pod]) -> Iterable[Key]:
        """The nodes of the pod; nothing is remembered of one that is gone."""
        if event.type == DELETED:
            self._reported.pop(event.object.metadata.uid, None)
        return triggers.mapped(_node_of)(event)

    def _nodes_of_claim(self, claim: PersistentVolumeClaim) -> Iterable[Key]:
        place = (claim.metadata.namespace, claim.metadata.name)
        for pod in self._pods.by_index(by_claims, place):
            yield from _node_of(pod)

    def _nodes_of_volume(self, volume: PersistentVolume) -> Iterable[Key]:
        reference = volume.spec.claimRef
        if volume.spec.csi is not None and reference is not None:
            place = (reference.namespace, reference.name)
            for pod in self._pods.by_index(by_claims, place):
                yield from _node_of(pod)


def _node_of(pod: Pod) -> Iterable[Key]:
    used = bool(pod.spec.nodeName) and bool(pod_references.claims(pod))
    return [Key("", pod.spec.nodeName)] if used else []


def with_claims_by_node(pod: Pod) -> Iterable[Hashable]:
    """Index of pods that use claims: the node."""
    return [key.name for key in _node_of(pod)]


def by_claims(pod: Pod) -> Iterable[Hashable]:
    """Index of pods: (namespace, name) of each claim."""
    return [(pod.metadata.namespace, name) for name in pod_references.claims(pod)]


def by_node(attachment: VolumeAttachment) -> Iterable[Hashable]:
    """Index of attachments: the node."""
    return [attachment.spec.nodeName]


def by_volume(attachment: VolumeAttachment) -> Iterable[Hashable]:
    """Index of attachments: the volume."""
    return [attachment.spec.source.persistentVolumeName or ""]


def make(context: ControllerContext) -> Controller:
    """The control loop."""
    return AttachDetach(context).loop


CONTROLLER = Definition(
    "persistentvolume-attach-detach-controller", make, account="attachdetach-controller"
)
