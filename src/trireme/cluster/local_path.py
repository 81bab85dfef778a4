"""The provisioner of a local cluster's default StorageClass ``local-path``.

In: claims and volumes. Out: for each claim of a class with this provisioner a folder of the host
and a hostPath volume on it; both are removed when the claim is gone and the reclaim policy says so.
Run among the controllers, under an identity of its own.
https://kubernetes.io/docs/concepts/storage/dynamic-provisioning/.

The nodes of a local cluster share the host's file system, so a volume has no node affinity: a pod
finds its data wherever it runs.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Protocol

from trireme.api.core.v1.persistentvolume_types import PersistentVolume, PersistentVolumeSpec
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.core.v1.volumesources import HostPathVolumeSource
from trireme.api.rbac.v1.clusterrole import ClusterRole
from trireme.api.rbac.v1.clusterrolebinding_types import ClusterRoleBinding
from trireme.api.rbac.v1.rules import PolicyRule, RoleRef, Subject
from trireme.api.storage.v1.storageclass import DEFAULT, StorageClass
from trireme.controllers.definition import ControllerContext, Definition
from trireme.domain import volumes
from trireme.machinery import errors
from trireme.machinery.meta import ObjectMeta
from trireme.runtime import recorder, triggers
from trireme.runtime.controller import Controller
from trireme.runtime.keys import Key

CLASS = "local-path"
PROVISIONER = "trireme/local-path"
ACCOUNT = "local-path-provisioner"
NAMESPACE = "kube-system"
# Only folders that were made here are removed, whatever a volume says of itself.
_NAME = re.compile(r"pvc-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch


class Files(Protocol):
    """The host's files, as the kubelet's ``Host`` has them."""

    def make_dirs(self, path: str, mode: int) -> None: ...

    async def remove_tree(self, path: str) -> None: ...


def definition(folder: Path, files: Files) -> Definition:
    """The controller; its volumes are below ``folder``."""
    return Definition(ACCOUNT, lambda context: Provisioner(context, folder, files).controller())


class NoFiles:
    """For nodes in this process: their kubelets make the folders in their own files."""

    def make_dirs(self, path: str, mode: int) -> None:
        return

    async def remove_tree(self, path: str) -> None:
        return


class Provisioner:
    """Makes and deletes volumes."""

    def __init__(self, context: ControllerContext, folder: Path, files: Files) -> None:
        self._context = context
        self._folder = folder
        self._files = files
        self._claims = context.informers.of(PersistentVolumeClaim)
        self._volumes = context.informers.of(PersistentVolume)
        self._classes = context.informers.of(StorageClass)

    def controller(self) -> Controller:
        """Reconciles claims, and volumes, whose keys have no namespace."""
        return Controller(
            ACCOUNT,
            self._reconcile,
            self._context.env,
            triggers=[(self._claims, triggers.own()), (self._volumes, triggers.own())],
            workers=4,
        )

    async def _reconcile(self, key: Key) -> None:
        if key.namespace:
            claim = self._claims.get(*key)
            if claim is not None and _is_ours(claim):
                await self._provision(claim)
            return
        volume = self._volumes.get(*key)
        if volume is not None and _is_to_go(volume):
            await self._files.remove_tree(str(self._folder / volume.metadata.name))
            await self._context.client.delete(PersistentVolume, volume.metadata.name)

    async def _provision(self, claim: PersistentVolumeClaim) -> None:
        found = self._classes.get("", volumes.class_of(claim))
        if found is None or found.provisioner != PROVISIONER:
            return
        if found.volumeBindingMode == volumes.FIRST_CONSUMER and not _node(claim):
            return
        problem = _problem(claim)
        if problem:
            text = f'failed to provision volume with StorageClass "{volumes.class_of(claim)}": '
            self._note(claim, recorder.WARNING, "ProvisioningFailed", text + problem)
            return
        volume = self._volume(claim, found)
        name = volume.metadata.name
        if self._volumes.get("", name) is not None:
            return
        # Any user that a container runs as may write there.
        self._files.make_dirs(str(self._folder / name), 0o777)
        try:
            await self._context.client.create(volume)
        except errors.ApiError as error:
            if not errors.is_already_exists(error):
                raise
            return
        text = f"Successfully provisioned volume {name}"
        self._note(claim, recorder.NORMAL, "ProvisioningSucceeded", text)

    def _volume(self, claim: PersistentVolumeClaim, found: StorageClass) -> PersistentVolume:
        name = f"pvc-{claim.metadata.uid}"
        folder = HostPathVolumeSource(path=str(self._folder / name), type="DirectoryOrCreate")
        return PersistentVolume(
            metadata=ObjectMeta(name=name, annotations={volumes.PROVISIONED_BY: PROVISIONER}),
            spec=PersistentVolumeSpec(
                accessModes=claim.spec.accessModes,
                capacity={"storage": claim.spec.resources.requests["storage"]},
                claimRef=volumes.reference_to(claim),
                persistentVolumeReclaimPolicy=found.reclaimPolicy or "Delete",
                storageClassName=found.metadata.name,
                mountOptions=found.mountOptions,
                volumeMode="Filesystem",
                hostPath=folder,
            ),
        )

    def _note(self, claim: PersistentVolumeClaim, kind: str, reason: str, text: str) -> None:
        self._context.recorder.event(claim, kind, reason, text)


def storage_class() -> StorageClass:
    """The default class of a local cluster."""
    return StorageClass(
        metadata=ObjectMeta(name=CLASS, annotations={DEFAULT[0]: "true"}),
        provisioner=PROVISIONER,
        reclaimPolicy="Delete",
        volumeBindingMode=volumes.FIRST_CONSUMER,
    )


def objects() -> list[Any]:
    """What the cluster needs for it."""
    return [role(), binding(), storage_class()]


def role() -> ClusterRole:
    """What the provisioner writes; the controllers' caches read for it."""
    return ClusterRole(
        metadata=ObjectMeta(name=f"system:{ACCOUNT}"),
        rules=[
            PolicyRule(apiGroups=[""], resources=["persistentvolumes"], verbs=["create", "delete"]),
            PolicyRule(
                apiGroups=["", "events.k8s.io"],
                resources=["events"],
                verbs=["create", "patch", "update"],
            ),
        ],
    )


def binding() -> ClusterRoleBinding:
    """Its identity is a service account's."""
    name = f"system:{ACCOUNT}"
    return ClusterRoleBinding(
        metadata=ObjectMeta(name=name),
        roleRef=RoleRef(apiGroup="rbac.authorization.k8s.io", kind="ClusterRole", name=name),
        subjects=[Subject(kind="ServiceAccount", name=ACCOUNT, namespace=NAMESPACE)],
    )


def _is_ours(claim: PersistentVolumeClaim) -> bool:
    """Whether the volume binder asks this provisioner for a volume."""
    annotations = claim.metadata.annotations
    asked = annotations.get(volumes.PROVISIONER) or annotations.get(volumes.BETA_PROVISIONER)
    return (
        asked == PROVISIONER
        and not claim.spec.volumeName
        and claim.metadata.deletionTimestamp is None
    )


def _node(claim: PersistentVolumeClaim) -> str:
    return claim.metadata.annotations.get(volumes.SELECTED_NODE, "")


def _problem(claim: PersistentVolumeClaim) -> str:
    """What is asked for that a folder is not, or ""."""
    if volumes.mode_of(claim) == "Block":
        return f"{PROVISIONER} does not support block volume provisioning"
    if claim.spec.selector is not None:
        return "claim Selector is not supported"
    if claim.spec.dataSource is not None or claim.spec.dataSourceRef is not None:
        return "a data source is not supported"
    return ""


def _is_to_go(volume: PersistentVolume) -> bool:
    """Whether a volume that was made here lost its claim."""
    return (
        volume.metadata.annotations.get(volumes.PROVISIONED_BY) == PROVISIONER
        and _NAME(volume.metadata.name) is not None
        and volume.status.phase in ("Released", "Failed")
        and volume.spec.persistentVolumeReclaimPolicy == "Delete"
        and volume.metadata.deletionTimestamp is None
    )
