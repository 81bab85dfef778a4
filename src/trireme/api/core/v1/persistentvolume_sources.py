"""Rules of sources that only PersistentVolumes have, or have in another form than pods.

In: a source and where it stands. Out: errors on the list given. Called by
``persistentvolume_rules``. Upstream: pkg/apis/core/validation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from trireme.api import rules
from trireme.api.core.v1.persistentvolume_types import (
    AzureFilePersistentVolumeSource,
    CinderPersistentVolumeSource,
    CSIPersistentVolumeSource,
    FlexPersistentVolumeSource,
    GlusterfsPersistentVolumeSource,
    ISCSIPersistentVolumeSource,
    LocalVolumeSource,
    StorageOSPersistentVolumeSource,
)
from trireme.api.core.v1.pod.rules import paths, storage
from trireme.api.core.v1.references import SecretReference
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path

_RESERVED: Final = (".kubernetes.io", ".k8s.io")
_LONGEST_ISCSI: Final = 64
_CSI_SECRETS: Final = (
    "controllerPublishSecretRef",
    "controllerExpandSecretRef",
    "nodePublishSecretRef",
    "nodeExpandSecretRef",
)


def _host_path(errs: Errors, at: Path, source: Any) -> None:
    if rules.required(errs, at, "path", source.path):
        paths.no_backsteps(errs, at.child("path"), source.path)
        rules.declared(errs, at, source, "type")


def _glusterfs(errs: Errors, at: Path, source: GlusterfsPersistentVolumeSource) -> None:
    rules.declared(errs, at, source, "endpoints", "path")
    namespace, where = source.endpointsNamespace, at.child("endpointsNamespace")
    if namespace == "":
        detail = "if the endpointnamespace is set, it must be a valid namespace name"
        errs.append(field.invalid(where, namespace, detail))
    elif namespace is not None:
        rules.add(errs, where, namespace, names.is_dns1123_label(namespace))


def _iscsi(errs: Errors, at: Path, source: ISCSIPersistentVolumeSource) -> None:
    rules.required(errs, at, "targetPortal", source.targetPortal)
    if rules.required(errs, at, "iqn", source.iqn):
        _iscsi_name(errs, at.child("iqn"), source.iqn)
    if not 0 <= source.lun <= 255:
        detail = "must be between 0 and 255, inclusive"
        errs.append(field.invalid(at.child("lun"), source.lun, detail))
    secret = source.secretRef
    if (source.chapAuthDiscovery or source.chapAuthSession) and secret is None:
        errs.append(field.required(at.child("secretRef")))
    if secret is not None:
        rules.required(errs, at.child("secretRef"), "name", secret.name)
    if source.initiatorName is not None:
        _iscsi_name(errs, at.child("initiatorname"), source.initiatorName)


def _iscsi_name(errs: Errors, at: Path, name: str) -> None:
    if not storage.is_iscsi_name(name):
        errs.append(field.invalid(at, name, "must be valid format"))


def iscsi_name(errs: Errors, at: Path, volume: str, source: ISCSIPersistentVolumeSource) -> None:
    """The name that an initiator makes of the volume's and the portal's is not too long."""
    if source.initiatorName is None:
        return
    if len(f"{volume}:{source.targetPortal}".encode()) > _LONGEST_ISCSI:
        detail = (
            "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if "
            "iscsi.initiatorName is specified."
        )
        errs.append(field.invalid(at.child("targetportal"), source.targetPortal, detail))


def _named_and_placed(errs: Errors, at: Path, secret: Any) -> None:
    if secret is not None:
        rules.required(errs, at, "name", secret.name)
        rules.required(errs, at, "namespace", secret.namespace)


def _cinder(errs: Errors, at: Path, source: CinderPersistentVolumeSource) -> None:
    rules.required(errs, at, "volumeID", source.volumeID)
    _named_and_placed(errs, at.child("secretRef"), source.secretRef)


def _flex(errs: Errors, at: Path, source: FlexPersistentVolumeSource) -> None:
    rules.required(errs, at, "driver", source.driver)
    for key in source.options:
        owner = "." + key.partition("/")[0].lower()
        if owner.endswith(_RESERVED):
            detail = "kubernetes.io and k8s.io namespaces are reserved"
            errs.append(field.invalid(at.child("options").key(key), key, detail))


def _azure_file(errs: Errors, at: Path, source: AzureFilePersistentVolumeSource) -> None:
    rules.declared(errs, at, source, "secretName", "shareName")
    if source.secretNamespace == "":
        errs.append(field.required(at.child("secretNamespace")))


def _local(errs: Errors, at: Path, source: LocalVolumeSource) -> None:
    if rules.required(errs, at, "path", source.path):
        paths.no_backsteps(errs, at.child("path"), source.path)


def _storageos(errs: Errors, at: Path, source: StorageOSPersistentVolumeSource) -> None:
    check = names.is_dns1123_label
    rules.required_syntax(errs, at, "volumeName", source.volumeName, check)
    if source.volumeNamespace:
        rules.syntax(errs, at, "volumeNamespace", source.volumeNamespace, check)
    _named_and_placed(errs, at.child("secretRef"), source.secretRef)


def _csi(errs: Errors, at: Path, source: CSIPersistentVolumeSource) -> None:
    storage.driver_name(errs, at.child("driver"), source.driver)
    rules.required(errs, at, "volumeHandle", source.volumeHandle)
    for name in _CSI_SECRETS:
        secret: SecretReference | None = getattr(source, name)
        if secret is not None:
            here = at.child(name)
            rules.required_syntax(errs, here, "name", secret.name, names.is_dns1123_subdomain)
            check = names.is_dns1123_label
            rules.required_syntax(errs, here, "namespace", secret.namespace, check)


# In upstream's order; the second is where errors point when it is not the field's own name.
SOURCES: Final[dict[str, tuple[Callable[[Errors, Path, Any], None], str]]] = {
    "hostPath": (_host_path, ""),
    "gcePersistentDisk": (storage.gce_disk, "persistentDisk"),
    "awsElasticBlockStore": (storage.aws_disk, ""),
    "glusterfs": (_glusterfs, ""),
    "flocker": (storage.flocker, ""),
    "nfs": (storage.nfs, ""),
    "rbd": (rules.declared, ""),
    "quobyte": (storage.quobyte, ""),
    "cephfs": (rules.declared, ""),
    "iscsi": (_iscsi, ""),
    "cinder": (_cinder, ""),
    "fc": (storage.fibre_channel, ""),
    "flexVolume": (_flex, ""),
    "azureFile": (_azure_file, ""),
    "vsphereVolume": (rules.declared, ""),
    "photonPersistentDisk": (rules.declared, ""),
    "portworxVolume": (rules.declared, ""),
    "azureDisk": (storage.azure_disk, ""),
    "scaleIO": (storage.scale_io, ""),
    "local": (_local, ""),
    "storageos": (_storageos, ""),
    "csi": (_csi, ""),
}
