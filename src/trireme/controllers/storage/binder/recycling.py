"""NFS volumes with the deprecated reclaim policy Recycle: a pod empties one, then it is free again.

In: a released volume. Out: the pod recycler-for-<volume> in ``default``, its events at the volume,
its deletion. Called by ``reconcile`` until it says how it ended. Upstream:
pkg/volume/util/recyclerclient, pkg/volume/nfs;
https://kubernetes.io/docs/concepts/storage/persistent-volumes/#recycle.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import Final

from trireme.api.core.v1.event import Event
from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.api.core.v1.pod.container import Container, VolumeMount
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.core.v1.pod.volumes import Volume
from trireme.controllers.definition import ControllerContext
from trireme.domain import volumes
from trireme.machinery import errors, meta
from trireme.runtime.keys import Key

NAMESPACE: Final = "default"
PREFIX: Final = "recycler-for-"
IMAGE: Final = "registry.k8s.io/build-image/debian-base:bookworm-v1.0.6"
_SCRIPT: Final = (
    'test -e /scrub && find /scrub -mindepth 1 -delete && test -z "$(ls -A /scrub)" || exit 1'
)
_GIBIBYTE: Final = 2**30


class Recycler:
    """Knows the pods that it made: one of the name that was there before has emptied nothing."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._events = context.recorder
        self._pods = context.informers.of(Pod)
        self._settings = context.settings.storage
        # By uid of a volume, the uid of its pod.
        self._made: dict[str, str] = {}

    async def recycle(self, volume: PersistentVolume) -> str | None:
        """How it ended: "" when the volume is empty, or what failed; None while it goes on."""
        uid = volume.metadata.uid
        settings = self._settings
        desired = compute_pod(volume, settings.recycler_minimum, settings.recycler_increment)
        made = self._made.get(uid)
        if made is None:
            try:
                stored = await self._client.create(desired)
            except errors.ApiError as error:
                if not errors.is_already_exists(error):
                    return f"unexpected error creating recycler pod:  {error}"
                await self._delete(desired)
                return "old recycler pod found, will retry later"
            self._made[uid] = stored.metadata.uid
            return None
        pod = self._pods.get(NAMESPACE, desired.metadata.name)
        if pod is not None and pod.metadata.uid == made:
            if pod.status.phase not in ("Succeeded", "Failed"):
                return None
            await self._relay(volume, pod)
            await self._delete(pod)
            del self._made[uid]
            if pod.status.phase == "Succeeded":
                return ""
            problem = pod.status.message or "pod failed, pod.Status.Message unknown"
            return f"failed to recycle volume: {problem}"
        if await self._is_there(desired, made):
            return None
        del self._made[uid]
        return "failed to recycle volume: recycler pod was deleted"

    async def _is_there(self, pod: Pod, uid: str) -> bool:
        """Whether the API server has the pod, which a cache may not show yet."""
        try:
            found = await self._client.get(Pod, pod.metadata.name, NAMESPACE)
        except errors.ApiError as error:
            if errors.is_not_found(error):
                return False
            raise
        return found.metadata.uid == uid

    async def _delete(self, pod: Pod) -> None:
        uid = pod.metadata.uid
        options = meta.DeleteOptions(preconditions=meta.Preconditions(uid=uid)) if uid else None
        try:
            await self._client.delete(Pod, pod.metadata.name, NAMESPACE, options)
        except errors.ApiError as error:
            if not errors.is_not_found(error) and not errors.is_conflict(error):
                raise

    async def _relay(self, volume: PersistentVolume, pod: Pod) -> None:
        """What was said of the pod is said of the volume. The role may only watch events."""
        of_pod = f"involvedObject.uid={pod.metadata.uid}"
        watched = self._client.of(Event).watch(
            NAMESPACE, field_selector=of_pod, initial_events=True, timeout=3.0
        )
        async with aclosing(watched) as events:
            async for event in events:
                if event.object is None:
                    break
                text = f"Recycler pod: {event.object.message}"
                self._events.event(volume, event.object.type or "Normal", "RecyclerPod", text)


def compute_pod(volume: PersistentVolume, minimum: int, increment: int) -> Pod:
    """The pod that empties the volume within ``minimum`` seconds, or ``increment`` for each GiB."""
    gibibytes = volumes.capacity(volume).value() // _GIBIBYTE
    container = Container(
        name="pv-recycler",
        image=IMAGE,
        command=["/bin/sh"],
        args=["-c", _SCRIPT],
        volumeMounts=[VolumeMount(name="vol", mountPath="/scrub")],
    )
    return Pod(
        metadata=meta.ObjectMeta(name=PREFIX + volume.metadata.name, namespace=NAMESPACE),
        spec=PodSpec(
            activeDeadlineSeconds=max(minimum, gibibytes * increment),
            restartPolicy="Never",
            volumes=[Volume(name="vol", nfs=volume.spec.nfs)],
            containers=[container],
        ),
    )


def volume_of(pod: Pod) -> list[Key]:
    """The volume that the pod empties, by its name."""
    name = pod.metadata.name
    if pod.metadata.namespace != NAMESPACE or not name.startswith(PREFIX):
        return []
    return [Key("", name.removeprefix(PREFIX))]
