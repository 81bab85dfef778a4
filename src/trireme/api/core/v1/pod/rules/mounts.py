"""Where containers mount volumes and see block devices.

In: ``volumeMounts`` and ``volumeDevices`` of a container and the pod's volumes. Out: errors on the
list given. Called by: ``containers``. Upstream: pkg/apis/core/validation;
https://kubernetes.io/docs/concepts/storage/volumes/.
"""

from __future__ import annotations

from trireme.api import rules
from trireme.api.core.v1.pod.container import Container, VolumeMount
from trireme.api.core.v1.pod.rules import paths
from trireme.api.core.v1.pod.rules.context import PodContext
from trireme.api.rules import Errors
from trireme.machinery import field
from trireme.machinery.field import Path


def mounts(errs: Errors, at: Path, container: Container, context: PodContext) -> None:
    """``volumeMounts``."""
    devices = {item.name: item.devicePath for item in container.volumeDevices}
    used: set[str] = set()
    for position, mount in enumerate(container.volumeMounts):
        name, path = mount.name, mount.mountPath
        if not name:
            errs.append(field.required(at.index(position).child("name")))
        if name not in context.volumes:
            errs.append(field.not_found(at.index(position).child("name"), name))
        if not path:
            errs.append(field.required(at.index(position).child("mountPath")))
        if path in used:
            where = at.index(position).child("mountPath")
            errs.append(field.invalid(where, path, "must be unique"))
        used.add(path)
        if devices:
            _against_devices(errs, at.index(position), mount, devices)
        if mount.subPath or mount.subPathExpr:
            _sub_path(errs, at, position, mount)
        if mount.mountPropagation is not None:
            _propagation(errs, at, mount, container)
        if mount.recursiveReadOnly is not None:
            _recursive(errs, at, mount)


def devices(errs: Errors, at: Path, container: Container, context: PodContext) -> None:
    """``volumeDevices``."""
    mounted = {item.name: item.mountPath for item in container.volumeMounts}
    used_paths: set[str] = set()
    used_names: set[str] = set()
    for position, device in enumerate(container.volumeDevices):
        here = at.index(position)
        name, path = device.name, device.devicePath
        volume = context.volumes.get(name)
        if not name:
            errs.append(field.required(here.child("name")))
        if name in used_names:
            errs.append(field.invalid(here.child("name"), name, "must be unique"))
        if volume is None:
            errs.append(field.not_found(here.child("name"), name))
        elif volume.persistentVolumeClaim is None and volume.ephemeral is None:
            detail = (
                "can only use volume source type of PersistentVolumeClaim or Ephemeral for "
                "block mode"
            )
            errs.append(field.invalid(here.child("name"), name, detail))
        if not path:
            errs.append(field.required(here.child("devicePath")))
        if path in used_paths:
            errs.append(field.invalid(here.child("devicePath"), path, "must be unique"))
        if ".." in path.split("/"):
            detail = "can not contain backsteps ('..')"
            errs.append(field.invalid(here.child("devicePath"), path, detail))
        else:
            used_paths.add(path)
        if name in mounted:
            detail = "must not already exist in volumeMounts"
            errs.append(field.invalid(here.child("name"), name, detail))
        if path in mounted.values():
            detail = "must not already exist as a path in volumeMounts"
            errs.append(field.invalid(here.child("devicePath"), path, detail))
        if name:
            used_names.add(name)


def _against_devices(errs: Errors, at: Path, mount: VolumeMount, devices: dict[str, str]) -> None:
    if mount.name in devices:
        detail = "must not already exist in volumeDevices"
        errs.append(field.invalid(at.child("name"), mount.name, detail))
    if mount.mountPath in devices.values():
        detail = "must not already exist as a path in volumeDevices"
        errs.append(field.invalid(at.child("mountPath"), mount.mountPath, detail))


# Upstream reports what follows at the list, without the mount's position.


def _sub_path(errs: Errors, at: Path, position: int, mount: VolumeMount) -> None:
    if mount.subPath:
        paths.descending(errs, at.child("subPath"), mount.subPath)
    if mount.subPathExpr:
        if mount.subPath:
            where = at.index(position).child("subPathExpr")
            detail = "subPathExpr and subPath are mutually exclusive"
            errs.append(field.invalid(where, mount.subPathExpr, detail))
        paths.descending(errs, at.child("subPathExpr"), mount.subPathExpr)


def _propagation(errs: Errors, at: Path, mount: VolumeMount, container: Container) -> None:
    rules.declared(errs, at, mount, "mountPropagation")
    security = container.securityContext
    privileged = security is not None and security.privileged is True
    if mount.mountPropagation == "Bidirectional" and not privileged:
        detail = "Bidirectional mount propagation is available only to privileged containers"
        errs.append(field.forbidden(at.child("mountPropagation"), detail))


def _recursive(errs: Errors, at: Path, mount: VolumeMount) -> None:
    if mount.recursiveReadOnly in ("Enabled", "IfPossible"):
        where = at.child("recursiveReadOnly")
        if not mount.readOnly:
            errs.append(field.forbidden(where, "may only be specified when readOnly is true"))
        if mount.mountPropagation not in (None, "None"):
            detail = "may only be specified when mountPropagation is None or not specified"
            errs.append(field.forbidden(where, detail))
    else:
        rules.declared(errs, at, mount, "recursiveReadOnly")
