"""The PersistentVolumes behind a pod's claims.

In: a pod and one of its volumes. Out: ``Claimed``, or ``VolumePending`` in upstream's words. Called
by ``manager``. Upstream: pkg/kubelet/volumemanager/populator; KEP-1698 (ephemeral volumes).
"""

from __future__ import annotations

from trireme.api.core import v1 as core
from trireme.domain import owners, volumes
from trireme.kubelet.volumes.plugin import Claimed, Objects, VolumePending


async def find(objects: Objects, pod: core.Pod, volume: core.Volume) -> Claimed:
    """``volume`` names a claim, or is ephemeral and has one of its own."""
    source, namespace = volume.persistentVolumeClaim, pod.metadata.namespace
    name = source.claimName if source is not None else f"{pod.metadata.name}-{volume.name}"
    claim = await objects.claim(namespace, name)
    problem = _problem(name, claim)
    if claim is None or problem:
        raise VolumePending(f"error processing PVC {namespace}/{name}: {problem}")
    if source is None and not owners.controls(pod, claim.metadata):
        raise VolumePending(
            f"PVC {namespace}/{name} was not created for pod {namespace}/{pod.metadata.name} (pod "
            "is not owner)"
        )
    found = await objects.volume(claim.spec.volumeName)
    problem = _volume_problem(claim, found)
    if found is None or problem:
        raise VolumePending(f"error processing PVC {namespace}/{name}: {problem}")
    _check_mode(pod, volume, found)
    return Claimed(claim, found, source is not None and source.readOnly)


def _problem(name: str, claim: core.PersistentVolumeClaim | None) -> str:
    if claim is None:
        return (
            "failed to fetch PVC from API server: "
            f'persistentvolumeclaims "{name}" not found'
        )  # fmt: skip
    meta = claim.metadata
    # A claim that is protected stays until its pods are gone.
    if meta.deletionTimestamp is not None and volumes.PVC_PROTECTION not in meta.finalizers:
        return "PVC is being deleted"
    if claim.status.phase != "Bound":
        return "PVC is not bound"
    return "" if claim.spec.volumeName else "PVC has empty pvc.Spec.VolumeName"


def _volume_problem(claim: core.PersistentVolumeClaim, volume: core.PersistentVolume | None) -> str:
    if volume is None:
        name = claim.spec.volumeName
        return (
            f"failed to fetch PV {name} from API server: "
            f'persistentvolumes "{name}" not found'
        )  # fmt: skip
    name, reference = volume.metadata.name, volume.spec.claimRef
    if reference is None:
        return (
            f"found PV object {name} but it has a nil pv.Spec.ClaimRef indicating it is not yet "
            "bound to the claim"
        )
    if reference.uid != claim.metadata.uid:
        return (
            f"found PV object {name} but its pv.Spec.ClaimRef.UID {reference.uid} does not point "
            f"to claim.UID {claim.metadata.uid}"
        )
    return ""


def _check_mode(pod: core.Pod, volume: core.Volume, found: core.PersistentVolume) -> None:
    mode = volumes.mode_of(found)
    for container in (*pod.spec.initContainers, *pod.spec.containers):
        for field, used, right in (
            ("volumeMounts", container.volumeMounts, "Filesystem"),
            ("volumeDevices", container.volumeDevices, "Block"),
        ):
            if mode != right and any(item.name == volume.name for item in used):
                raise VolumePending(
                    f"volume {volume.name} has volumeMode {mode}, but is specified in {field}"
                )
