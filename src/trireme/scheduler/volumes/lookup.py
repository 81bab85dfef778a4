"""The volumes of pods, from caches: for the decision, and for the binding after it.

In: informers of claims, volumes, classes and what CSI drivers say. Out: ``PodVolumes`` for a pod;
bindings assumed, written, waited for and undone. Used by ``loop``. Upstream:
pkg/scheduler/framework/plugins/volumebinding/binder.go.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Final

from msgspec.structs import replace

from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.storage.v1.csidriver import CSIDriver
from trireme.api.storage.v1.csinode import CSINode
from trireme.api.storage.v1.csistoragecapacity import CSIStorageCapacity
from trireme.api.storage.v1.storageclass import StorageClass
from trireme.api.storage.v1.volumeattachment import VolumeAttachment
from trireme.client.client import Client
from trireme.client.resource_interface import DELETED
from trireme.domain import owners, pod_references, volumes
from trireme.machinery import gotext
from trireme.runtime import keys
from trireme.runtime.informer import Event, Informers
from trireme.runtime.keys import Key
from trireme.scheduler.snapshot.columns import Columns
from trireme.scheduler.volumes.model import Bindings, Limits, PodVolumes

# How long bindings are waited for, in seconds.
TIMEOUT: Final = 600.0
BINDING: Final = "VolumeBinding"


class NotBound(Exception):
    """The volumes of a pod were not bound; the message says why."""


class Volumes:
    """The caches. ``changed`` is called when a claim, a volume or a class changed."""

    def __init__(
        self, client: Client, informers: Informers, columns: Columns, changed: Callable[[], None]
    ) -> None:
        self._client = client
        self._columns = columns
        self._changed = changed
        self._claims = informers.of(PersistentVolumeClaim)
        self._volumes = informers.of(PersistentVolume)
        self._classes = informers.of(StorageClass)
        self._csi_nodes = informers.of(CSINode)
        self._drivers = informers.of(CSIDriver)
        self._capacities = informers.of(CSIStorageCapacity)
        self._attachments = informers.of(VolumeAttachment)
        self._volumes.add_index(by_class)
        self._attachments.add_index(by_node)
        # Volumes and claims as they will be once what was decided is written.
        self._assumed_volumes: dict[str, PersistentVolume] = {}
        self._assumed_claims: dict[Key, PersistentVolumeClaim] = {}
        self._waiting: set[asyncio.Event] = set()

    def follow(self) -> None:
        """Hear of changes from now on."""
        for informer in (
            self._claims,
            self._volumes,
            self._classes,
            self._csi_nodes,
            self._drivers,
            self._capacities,
        ):
            informer.add_handler(self._on_change)
        self._attachments.add_handler(self._on_attachment)

    def _on_attachment(self, event: Event[VolumeAttachment]) -> None:
        """A node can have one volume more when another is detached."""
        if event.type == DELETED:
            self._on_change(event)

    def _on_change(self, _event: Any) -> None:
        for event in self._waiting:
            event.set()
        self._changed()

    # For the decision

    def of(self, pod: Pod) -> PodVolumes | None:
        """What the pod's claims mean for nodes; None for a pod without claims."""
        named = list(_claim_names(pod))
        if not named:
            return None
        claims: list[PersistentVolumeClaim] = []
        for name, ephemeral in named:
            claim = self._claim(Key(pod.metadata.namespace, name))
            problem = _problem(pod, name, claim, ephemeral)
            if problem or claim is None:
                return PodVolumes(problem=problem, plugin=BINDING)
            claims.append(claim)
        return self._of_claims(pod, claims)

    def _of_claims(self, pod: Pod, claims: list[PersistentVolumeClaim]) -> PodVolumes:
        bound: list[PersistentVolume] = []
        delayed: list[PersistentVolumeClaim] = []
        lost = False
        for claim in claims:
            if _is_bound(claim):
                volume = self._volumes.get("", claim.spec.volumeName)
                if volume is None:
                    lost = True
                else:
                    bound.append(volume)
                continue
            found = self._classes.get("", volumes.class_of(claim))
            waits = found is not None and found.volumeBindingMode == volumes.FIRST_CONSUMER
            if not waits or claim.spec.volumeName:
                return PodVolumes(
                    problem="pod has unbound immediate PersistentVolumeClaims", plugin=BINDING
                )
            delayed.append(claim)
        delayed.sort(key=lambda claim: volumes.request(claim).nanos)
        names = {volumes.class_of(claim) for claim in delayed}
        handles = self._handles(claims)
        return PodVolumes(
            bound=tuple(bound),
            lost=lost,
            delayed=tuple(delayed),
            candidates={name: self._candidates(name) for name in names},
            classes={
                name: found for name in names if (found := self._classes.get("", name)) is not None
            },
            capacities=dict(self._capacities_of(names)),
            taken=any(
                "ReadWriteOncePod" in claim.spec.accessModes and self._in_use(pod, claim)
                for claim in claims
            ),
            handles=handles,
            limits=self._limits(handles) if handles else Limits(),
        )

    def _claim(self, key: Key) -> PersistentVolumeClaim | None:
        known = self._claims.get(*key)
        assumed = self._assumed_claims.get(key)
        if assumed is not None and known is not None and _same_version(assumed, known):
            return assumed
        self._assumed_claims.pop(key, None)
        return known

    def _volume(self, volume: PersistentVolume) -> PersistentVolume:
        assumed = self._assumed_volumes.get(volume.metadata.name)
        if assumed is not None and _same_version(assumed, volume):
            return assumed
        self._assumed_volumes.pop(volume.metadata.name, None)
        return volume

    def _candidates(self, name: str) -> tuple[PersistentVolume, ...]:
        found = [self._volume(item) for item in self._volumes.by_index(by_class, name)]
        free = [item for item in found if item.spec.claimRef is None or not item.spec.claimRef.uid]
        return tuple(
            sorted(free, key=lambda item: (volumes.capacity(item).nanos, item.metadata.name))
        )

    def _capacities_of(
        self, names: set[str]
    ) -> Iterator[tuple[str, tuple[CSIStorageCapacity, ...]]]:
        """Of those classes whose driver publishes its capacity."""
        for name in names:
            found = self._classes.get("", name)
            driver = self._drivers.get("", found.provisioner) if found is not None else None
            if driver is not None and driver.spec.storageCapacity:
                every = self._capacities.list()
                yield name, tuple(item for item in every if item.storageClassName == name)

    def _in_use(self, pod: Pod, claim: PersistentVolumeClaim) -> bool:
        meta = claim.metadata
        return any(
            other.metadata.namespace == meta.namespace
            and other.metadata.uid != pod.metadata.uid
            and meta.name in pod_references.claims(other)
            for other, _row in self._columns.pods()
        )

    def _handles(self, claims: Iterable[PersistentVolumeClaim]) -> dict[str, frozenset[str]]:
        found: defaultdict[str, set[str]] = defaultdict(set)
        for claim in claims:
            driver, handle = self._handle(claim)
            if driver:
                found[driver].add(handle)
        return {driver: frozenset(handles) for driver, handles in found.items()}

    def _handle(self, claim: PersistentVolumeClaim) -> tuple[str, str]:
        """The CSI driver of a claim's volume and the volume's handle; one that is yet to be made
        is known by its claim."""
        volume = self._volumes.get("", claim.spec.volumeName) if claim.spec.volumeName else None
        if volume is not None:
            source = volume.spec.csi
            return ("", "") if source is None else (source.driver, source.volumeHandle)
        found = self._classes.get("", volumes.class_of(claim))
        meta = claim.metadata
        own = found.provisioner if found is not None else ""
        return (own, f"{meta.namespace}/{meta.name}") if self._drivers.get("", own) else ("", "")

    def _limits(self, handles: dict[str, frozenset[str]]) -> Limits:
        """Of the pod's drivers, what the nodes with a limit may have and have."""
        most: dict[str, dict[str, int]] = {driver: {} for driver in handles}
        for csi_node in self._csi_nodes.list():
            for item in csi_node.spec.drivers or ():
                limit = item.allocatable.count if item.allocatable is not None else None
                if item.name in most and limit is not None:
                    most[item.name][csi_node.metadata.name] = limit
        nodes = {node for by_node in most.values() for node in by_node}
        there: dict[str, dict[str, frozenset[str]]] = {driver: {} for driver in handles}
        for node in nodes:
            held = self._handles(
                claim
                for pod in self._columns.pods_on(node)
                for name, _ in _claim_names(pod)
                if (claim := self._claims.get(pod.metadata.namespace, name)) is not None
            )
            attached = self._attached(node)
            for driver in handles:
                there[driver][node] = held.get(driver, frozenset()) | attached.get(driver, set())
        return Limits(most, there)

    def _attached(self, node: str) -> dict[str, set[str]]:
        """By driver, what is attached to the node, whether a pod there uses it or not any more."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for item in self._attachments.by_index(by_node, node):
            name = item.spec.source.persistentVolumeName
            volume = self._volumes.get("", name) if name else None
            if volume is not None and volume.spec.csi is not None:
                found[item.spec.attacher].add(volume.spec.csi.volumeHandle)
        return found

    # For the binding

    def assume(self, bindings: Bindings, node: str) -> Bindings:
        """Count what was decided from now on; returns what is to be written."""
        static = []
        for claim, volume in bindings.static:
            reference = volumes.reference_to(claim)
            changed = replace(volume, spec=replace(volume.spec, claimRef=reference))
            if not volumes.is_bound_to(volume, claim):
                added = {**volume.metadata.annotations, volumes.BOUND_BY_CONTROLLER: "yes"}
                changed = replace(changed, metadata=replace(changed.metadata, annotations=added))
            self._assumed_volumes[volume.metadata.name] = changed
            static.append((claim, changed))
        provisioned = []
        for claim in bindings.provisioned:
            added = {**claim.metadata.annotations, volumes.SELECTED_NODE: node}
            marked = replace(claim, metadata=replace(claim.metadata, annotations=added))
            self._assumed_claims[keys.of(claim.metadata)] = marked
            provisioned.append(marked)
        return Bindings(tuple(static), tuple(provisioned))

    def forget(self, bindings: Bindings) -> None:
        """Count no longer what was assumed."""
        for _claim, volume in bindings.static:
            self._assumed_volumes.pop(volume.metadata.name, None)
        for claim in bindings.provisioned:
            self._assumed_claims.pop(keys.of(claim.metadata), None)

    async def bind(self, bindings: Bindings, node: str) -> None:
        """Write what was assumed and wait until all claims are bound. NotBound, ApiError."""
        for _claim, volume in bindings.static:
            await self._client.update(volume)
        for claim in bindings.provisioned:
            if self._claims.get(*keys.of(claim.metadata)) != claim:
                await self._client.update(claim)
        waiting = [keys.of(claim.metadata) for claim, _ in bindings.static]
        waiting += [keys.of(claim.metadata) for claim in bindings.provisioned]
        marked = {keys.of(claim.metadata) for claim in bindings.provisioned}
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            async with asyncio.timeout(TIMEOUT):
                while waiting:
                    event.clear()
                    waiting = [key for key in waiting if not self._has_volume(key, node, marked)]
                    if waiting:
                        await event.wait()
        except TimeoutError:
            raise NotBound("binding volumes: context deadline exceeded") from None
        finally:
            self._waiting.discard(event)

    def _has_volume(self, key: Key, node: str, marked: set[Key]) -> bool:
        """Whether a claim is bound. NotBound when the provisioner gave the node up."""
        claim = self._claims.get(*key)
        if claim is None:
            name = gotext.quote(str(key))
            raise NotBound(f"binding volumes: failed to check binding: {name} not found")
        if _is_bound(claim):
            return True
        selected = claim.metadata.annotations.get(volumes.SELECTED_NODE)
        if key in marked and selected != node and self._observed(key):
            raise NotBound(f"binding volumes: provisioning failed for PVC {gotext.quote(key.name)}")
        return False

    def _observed(self, key: Key) -> bool:
        """Whether the cache has seen our mark of a claim: it is not only assumed any more."""
        known, assumed = self._claims.get(*key), self._assumed_claims.get(key)
        return assumed is None or known is None or not _same_version(assumed, known)


def _is_bound(claim: PersistentVolumeClaim) -> bool:
    return bool(claim.spec.volumeName) and volumes.BIND_COMPLETED in claim.metadata.annotations


def _same_version(one: Any, other: Any) -> bool:
    return bool(one.metadata.resourceVersion == other.metadata.resourceVersion)


def _claim_names(pod: Pod) -> Iterator[tuple[str, bool]]:
    """The claims of a pod, and whether one is an ephemeral volume's."""
    for volume in pod.spec.volumes:
        if volume.persistentVolumeClaim is not None:
            yield volume.persistentVolumeClaim.claimName, False
        elif volume.ephemeral is not None:
            yield f"{pod.metadata.name}-{volume.name}", True


def _problem(pod: Pod, name: str, claim: PersistentVolumeClaim | None, ephemeral: bool) -> str:
    """Why a claim keeps the pod from being scheduled anywhere, in upstream's words; or ""."""
    quoted = gotext.quote(name)
    if claim is None:
        if ephemeral:
            return (
                "waiting for ephemeral volume controller to create the persistentvolumeclaim "
                f"{quoted}"
            )
        return f"persistentvolumeclaim {quoted} not found"
    if claim.status.phase == "Lost":
        volume = gotext.quote(claim.spec.volumeName)
        return f"persistentvolumeclaim {quoted} bound to non-existent persistentvolume {volume}"
    if claim.metadata.deletionTimestamp is not None:
        return f"persistentvolumeclaim {quoted} is being deleted"
    if ephemeral and not owners.controls(pod, claim.metadata):
        where = claim.metadata.namespace
        return (
            f"PVC {where}/{name} was not created for pod {where}/{pod.metadata.name} (pod is not "
            "owner)"
        )
    return ""


def by_node(attachment: VolumeAttachment) -> Iterable[Hashable]:
    """Index of attachments: the node."""
    return [attachment.spec.nodeName]


def by_class(volume: PersistentVolume) -> Iterable[Hashable]:
    """Index of volumes: the class."""
    return [volumes.class_of(volume)]
