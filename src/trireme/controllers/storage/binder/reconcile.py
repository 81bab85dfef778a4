"""PersistentVolumeClaims are bound to PersistentVolumes; volumes that lost their claim are
reclaimed.

In: claims, volumes, storage classes, pods. Out: bindings, phases, events; claims are marked for
whoever provisions their volumes. One worker: a volume is given to one claim. Run by ``manager``.
Upstream: pkg/controller/volume/persistentvolume;
https://kubernetes.io/docs/concepts/storage/persistent-volumes/#binding.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Final

from msgspec.structs import replace

from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.storage.v1.storageclass import DEFAULT, StorageClass
from trireme.client.resource_interface import DELETED
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.storage.binder import plan_binding, recycling
from trireme.controllers.storage.binder.metrics import BinderMetrics
from trireme.domain import default_class, pod_references, pods, volumes
from trireme.machinery import errors, gotext
from trireme.runtime import keys, recorder, triggers
from trireme.runtime.controller import After, Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key
from trireme.runtime.mutation_cache import MutationCache

# How often a claim that waits is looked at again, in seconds.
IN_TREE: Final = "kubernetes.io/"
_EXTERNAL: Final = (
    "Waiting for a volume to be created either by the external provisioner '{}' or manually by the "
    "system administrator. If volume creation is delayed, please verify that the provisioner is "
    "running and correctly registered."
)


class Binder:
    """The state of the controller: caches. Keys with a namespace are claims, others volumes."""

    def __init__(self, context: ControllerContext) -> None:
        self._resync = After(context.settings.storage.binder_sync)
        self._provisions = context.settings.storage.dynamic_provisioning
        self._client = context.client
        self._events = context.recorder
        informers = context.informers
        self._claim_informer = informers.of(PersistentVolumeClaim)
        self._volume_informer = informers.of(PersistentVolume)
        self._claim_informer.add_index(unbound_by_class)
        self._volume_informer.add_index(by_class)
        self._volume_informer.add_index(by_claim)
        self._claims = MutationCache(self._claim_informer)
        self._volumes = MutationCache(self._volume_informer)
        self._classes = informers.of(StorageClass)
        self._pods = informers.of(Pod)
        self._pods.add_index(by_claims)
        self._recycler = recycling.Recycler(context)
        self._metrics = BinderMetrics(context.env.metrics, context.informers)
        self.loop = Controller(
            "claims",
            self.reconcile,
            context.env,
            triggers=[
                (self._claim_informer, self._of_claim),
                (self._volume_informer, self._of_volume),
                (self._classes, self._of_class),
                (self._pods, triggers.mapped(recycling.volume_of)),
            ],
        )

    async def reconcile(self, key: Key) -> After | None:
        """Look at a claim or a volume."""
        try:
            if not key.namespace:
                volume = self._volumes.get("", key.name)
                if volume is not None:
                    await self._sync_volume(volume)
                return None
            claim = self._claims.get(*key)
            if claim is None:
                return None
            if volumes.BIND_COMPLETED in claim.metadata.annotations:
                await self._sync_bound(claim)
                return None
            return await self._sync_unbound(claim)
        except errors.ApiError as error:
            if errors.is_not_found(error):
                # It is gone, and an event says so.
                return None
            raise

    async def _sync_unbound(self, claim: PersistentVolumeClaim) -> After | None:
        if claim.spec.volumeName:
            return await self._sync_named(claim)
        storage_class = self._classes.get("", volumes.class_of(claim))
        delayed = (
            storage_class is not None and storage_class.volumeBindingMode == volumes.FIRST_CONSUMER
        )
        found = volumes.best_match(claim, self._candidates(claim), delayed=delayed)
        if found is not None:
            await self._bind(found, claim)
            return None
        if not volumes.has_class(claim) and await self._assign_default(claim):
            return None
        if delayed and volumes.SELECTED_NODE not in claim.metadata.annotations:
            self._wait_for_consumer(claim)
        elif volumes.class_of(claim):
            await self._provision(claim, storage_class)
            return self._resync
        else:
            message = "no persistent volumes available for this claim and no storage class is set"
            self._note(claim, recorder.NORMAL, "FailedBinding", message)
        await self._set_claim(claim, "Pending", None)
        return self._resync

    def _candidates(self, claim: PersistentVolumeClaim) -> list[PersistentVolume]:
        """The volumes of the claim's class, and those that are meant for it."""
        place = (claim.metadata.namespace, claim.metadata.name)
        found = self._volumes.by_index(by_class, volumes.class_of(claim))
        meant = self._volumes.by_index(by_claim, place)
        return list({volume.metadata.name: volume for volume in (*found, *meant)}.values())

    async def _sync_named(self, claim: PersistentVolumeClaim) -> After | None:
        """A claim that names its volume."""
        name = claim.spec.volumeName
        volume = self._volumes.get("", name)
        if volume is None:
            await self._set_claim(claim, "Pending", None)
            return self._resync
        if volume.spec.claimRef is None:
            problem = volumes.problem(volume, claim)
            if problem:
                message = f"Cannot bind to requested volume {gotext.quote(name)}: {problem}"
                self._note(claim, recorder.WARNING, "VolumeMismatch", message)
                await self._set_claim(claim, "Pending", None)
                return self._resync
        elif not volumes.is_bound_to(volume, claim):
            message = f"volume {gotext.quote(name)} already bound to a different claim."
            self._note(claim, recorder.WARNING, "FailedBinding", message)
            await self._set_claim(claim, "Pending", None)
            return self._resync
        await self._bind(volume, claim)
        return None

    async def _sync_bound(self, claim: PersistentVolumeClaim) -> None:
        name = claim.spec.volumeName
        volume = self._volumes.get("", name) if name else None
        if not name:
            detail = (
                "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
            )
            await self._lose(claim, "ClaimLost", detail)
        elif volume is None:
            detail = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
            await self._lose(claim, "ClaimLost", detail)
        elif volume.spec.claimRef is None or volume.spec.claimRef.uid == claim.metadata.uid:
            await self._bind(volume, claim)
        else:
            detail = "Two claims are bound to the same volume, this one is bound incorrectly"
            await self._lose(claim, "ClaimMisbound", detail)

    async def _lose(self, claim: PersistentVolumeClaim, reason: str, message: str) -> None:
        if claim.status.phase != "Lost":
            await self._set_claim(claim, "Lost", None)
            self._note(claim, recorder.WARNING, reason, message)

    async def _sync_volume(self, volume: PersistentVolume) -> None:
        reference = volume.spec.claimRef
        if reference is None or not reference.uid:
            await self._set_volume(volume, "Available")
            return
        claim = await self._claim_of(volume)
        if claim is None:
            await self._release(volume)
        elif not claim.spec.volumeName:
            if volumes.mode_of(claim) != volumes.mode_of(volume):
                self._note_modes(volume, claim)
            else:
                self.loop.queue.add(keys.of(claim.metadata))
        elif claim.spec.volumeName == volume.metadata.name:
            await self._set_volume(volume, "Bound")
        elif (
            volumes.PROVISIONED_BY in volume.metadata.annotations
            and volume.spec.persistentVolumeReclaimPolicy == "Delete"
        ):
            # Made for a claim that found another volume meanwhile.
            await self._release(volume)
        else:
            stored = self._volumes.wrote(await self._client.update(plan_binding.unbound(volume)))
            await self._set_volume(stored, "Available")

    async def _claim_of(self, volume: PersistentVolume) -> PersistentVolumeClaim | None:
        """The claim that the volume is bound to, as the API server has it where the caches do not;
        None when it is gone, or one of the same name came."""
        reference = volume.spec.claimRef
        assert reference is not None
        claim = self._claims.get(reference.namespace, reference.name)
        if claim is not None and claim.metadata.uid == reference.uid:
            return claim
        try:
            claim = await self._client.get(
                PersistentVolumeClaim, reference.name, reference.namespace
            )
        except errors.ApiError as error:
            if errors.is_not_found(error):
                return None
            raise
        return claim if claim.metadata.uid == reference.uid else None

    async def _release(self, volume: PersistentVolume) -> None:
        """The claim is gone: what then becomes of the volume is its policy."""
        if volume.status.phase not in ("Released", "Failed"):
            volume = await self._set_volume(volume, "Released")
        policy = volume.spec.persistentVolumeReclaimPolicy
        if policy == "Retain":
            return
        if policy == "Delete":
            provisioner = volume.metadata.annotations.get(volumes.PROVISIONED_BY, "")
            external = provisioner and not provisioner.startswith(IN_TREE)
            if external or volume.spec.csi is not None:
                # Whoever made it deletes it.
                return
            name = gotext.quote(volume.metadata.name)
            detail = (
                f"error getting deleter volume plugin for volume {name}: "
                "no deletable volume plugin matched"
            )
            path = volume.spec.hostPath.path if volume.spec.hostPath is not None else "/tmp/"
            if not path.startswith("/tmp/"):
                # Upstream's words; below /tmp it deletes, on whatever host the controller runs.
                detail = f"host_path deleter only supports /tmp/.+ but received provided {path}"
            await self._fail(volume, "VolumeFailedDelete", detail)
        elif policy == "Recycle":
            await self._recycle(volume)
        else:
            detail = "Volume has unrecognized PersistentVolumeReclaimPolicy"
            await self._fail(volume, "VolumeUnknownReclaimPolicy", detail)

    async def _recycle(self, volume: PersistentVolume) -> None:
        """NFS only, as upstream but for its hostPath of a single host."""
        reference = volume.spec.claimRef
        assert reference is not None
        if volume.spec.nfs is None:
            detail = "No recycler plugin found for the volume!"
            await self._fail(volume, "VolumeFailedRecycle", detail)
            return
        users = [
            f"{pod.metadata.namespace}/{pod.metadata.name}"
            for pod in self._pods.by_index(by_claims, (reference.namespace, reference.name))
            if not pods.is_finished(pod)
        ]
        if users and self._claims.get(reference.namespace, reference.name) is None:
            detail = f"Volume is used by pods: {','.join(sorted(users))}"
            self._note(volume, recorder.NORMAL, "VolumeFailedRecycle", detail)
        else:
            problem = await self._recycler.recycle(volume)
            if problem == "":
                self._note(volume, recorder.NORMAL, "VolumeRecycled", "Volume recycled")
                freed = plan_binding.unbound(volume)
                self._volumes.wrote(await self._client.update(freed))
                return
            if problem is not None:
                detail = f"Recycle failed: {problem}"
                await self._fail(volume, "VolumeFailedRecycle", detail)
        self.loop.queue.add_after(keys.of(volume.metadata), self._resync.seconds)

    async def _fail(self, volume: PersistentVolume, reason: str, message: str) -> None:
        if volume.status.phase != "Failed":
            await self._set_volume(volume, "Failed", message)
            self._note(volume, recorder.WARNING, reason, message)

    async def _bind(self, volume: PersistentVolume, claim: PersistentVolumeClaim) -> None:
        """The four writes of a binding, as far as they are not done."""
        changed = plan_binding.volume_to_claim(volume, claim)
        if changed is not None:
            volume = self._volumes.wrote(await self._client.update(changed))
        volume = await self._set_volume(volume, "Bound")
        bound = plan_binding.claim_to_volume(claim, volume)
        if bound is not None:
            claim = self._claims.wrote(await self._client.update(bound))
        await self._set_claim(claim, "Bound", volume)

    async def _set_volume(
        self, volume: PersistentVolume, phase: str, message: str = ""
    ) -> PersistentVolume:
        if volume.status.phase == phase:
            return volume
        status = replace(volume.status, phase=phase, message=message)
        stored = await self._client.update_status(replace(volume, status=status))
        return self._volumes.wrote(stored)

    async def _set_claim(
        self, claim: PersistentVolumeClaim, phase: str, volume: PersistentVolume | None
    ) -> None:
        status = plan_binding.claim_status(claim, phase, volume)
        if status is not None:
            stored = await self._client.update_status(replace(claim, status=status))
            self._claims.wrote(stored)

    async def _assign_default(self, claim: PersistentVolumeClaim) -> bool:
        """Give the claim the default class, if there is one by now; whether there is."""
        default = default_class.of(self._classes.list(), DEFAULT)
        if default is None:
            return False
        spec = replace(claim.spec, storageClassName=default.metadata.name)
        try:
            self._claims.wrote(await self._client.update(replace(claim, spec=spec)))
        except errors.ApiError:
            self._metrics.class_errors.inc()
            raise
        self._metrics.classes.inc()
        return True

    def _wait_for_consumer(self, claim: PersistentVolumeClaim) -> None:
        meta = claim.metadata
        waiting = [
            pod.metadata.name
            for pod in self._pods.by_index(by_claims, (meta.namespace, meta.name))
            if not pods.is_finished(pod) and not pod.spec.nodeName
        ]
        reason, message = (
            "WaitForFirstConsumer",
            "waiting for first consumer to be created before binding",
        )
        if waiting:
            reason = "WaitForPodScheduled"
            many = "pods" if len(waiting) > 1 else "pod"
            message = f"waiting for {many} {','.join(sorted(waiting))} to be scheduled"
        self._note(claim, recorder.NORMAL, reason, message)

    async def _provision(
        self, claim: PersistentVolumeClaim, storage_class: StorageClass | None
    ) -> None:
        """Ask the class's provisioner for a volume, by annotations of the claim."""
        if not self._provisions:
            return
        if storage_class is None:
            name = gotext.quote(volumes.class_of(claim))
            message = f"storageclass.storage.k8s.io {name} not found"
            self._note(claim, recorder.WARNING, "ProvisioningFailed", message)
            return
        provisioner = storage_class.provisioner
        if provisioner.startswith(IN_TREE):
            message = f"no volume plugin matched name: {provisioner}"
            self._note(claim, recorder.WARNING, "ProvisioningFailed", message)
            return
        marked = plan_binding.with_provisioner(claim, provisioner)
        if marked is not None:
            self._claims.wrote(await self._client.update(marked))
        message = _EXTERNAL.format(provisioner)
        self._note(claim, recorder.NORMAL, "ExternalProvisioning", message)

    def _note_modes(self, volume: PersistentVolume, claim: PersistentVolumeClaim) -> None:
        claim_name = gotext.quote(claim.metadata.name)
        volume_name = gotext.quote(volume.metadata.name)
        self._note(
            volume,
            recorder.WARNING,
            "VolumeMismatch",
            f"Cannot bind PersistentVolume to requested PersistentVolumeClaim {claim_name} due to "
            "incompatible volumeMode.",
        )
        self._note(
            claim,
            recorder.WARNING,
            "VolumeMismatch",
            f"Cannot bind PersistentVolume {volume_name} to requested PersistentVolumeClaim due to "
            "incompatible volumeMode.",
        )

    def _note(self, obj: Any, kind: str, reason: str, message: str) -> None:
        self._events.event(obj, kind, reason, message)

    def _of_claim(self, event: Event[PersistentVolumeClaim]) -> Iterable[Key]:
        """The claim; and its volume, when the claim is gone."""
        claim = event.object
        yield event.key
        if event.type == DELETED:
            if claim.spec.volumeName:
                yield Key("", claim.spec.volumeName)
            place = (claim.metadata.namespace, claim.metadata.name)
            for volume in self._volume_informer.by_index(by_claim, place):
                yield keys.of(volume.metadata)

    def _of_volume(self, event: Event[PersistentVolume]) -> Iterable[Key]:
        """The volume; the claim that it is for; claims that wait for one of its class."""
        volume = event.object
        yield event.key
        reference = volume.spec.claimRef
        if reference is not None:
            yield Key(reference.namespace, reference.name)
        elif event.type != DELETED:
            for claim in self._claim_informer.by_index(unbound_by_class, volumes.class_of(volume)):
                yield keys.of(claim.metadata)

    def _of_class(self, event: Event[StorageClass]) -> Iterable[Key]:
        """Claims of the class, and those of none, that wait."""
        if event.type != DELETED:
            for name in (event.object.metadata.name, ""):
                for claim in self._claim_informer.by_index(unbound_by_class, name):
                    yield keys.of(claim.metadata)


def by_class(volume: PersistentVolume) -> Iterable[Hashable]:
    """Index of volumes: the class."""
    return [volumes.class_of(volume)]


def by_claim(volume: PersistentVolume) -> Iterable[Hashable]:
    """Index of volumes: (namespace, name) of the claim."""
    reference = volume.spec.claimRef
    return [] if reference is None else [(reference.namespace, reference.name)]


def unbound_by_class(claim: PersistentVolumeClaim) -> Iterable[Hashable]:
    """Index of claims that are not bound: the class."""
    bound = volumes.BIND_COMPLETED in claim.metadata.annotations
    return [] if bound else [volumes.class_of(claim)]


def by_claims(pod: Pod) -> Iterable[Hashable]:
    """Index of pods: (namespace, name) of each claim."""
    return [(pod.metadata.namespace, name) for name in pod_references.claims(pod)]


def make(context: ControllerContext) -> Controller:
    """The control loop."""
    return Binder(context).loop


CONTROLLER = Definition(
    "persistentvolume-binder-controller",
    make,
    account="persistent-volume-binder",
    component="persistentvolume-controller",
)
