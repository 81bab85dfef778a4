"""Volume sources of storage systems outside the cluster, most of them served by CSI drivers now.

In: one source of a volume. Out: errors on the list given. Called by: ``volumes``. Upstream:
pkg/apis/core/validation; https://kubernetes.io/docs/concepts/storage/volumes/.
"""

from __future__ import annotations

import re
from typing import Any, Final

from trireme.api import rules
from trireme.api.core.v1.pod.rules import paths
from trireme.api.core.v1.pod.volumes import (
    CSIVolumeSource,
    FlexVolumeSource,
    ISCSIVolumeSource,
    StorageOSVolumeSource,
)
from trireme.api.core.v1.volumesources import (
    AzureDiskVolumeSource,
    FCVolumeSource,
    NFSVolumeSource,
    QuobyteVolumeSource,
)
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path

# Where upstream's path differs from the field's name.
PATHS: Final = {"gcePersistentDisk": "persistentDisk"}

_iqn: Final = re.compile(r"iqn\.\d{4}-\d{2}\.([A-Za-z0-9\-.]+)(:[^,;*&$|\s]+)\Z").search
_eui: Final = re.compile(r"eui.[A-Za-z0-9]{16}\Z").match
_naa: Final = re.compile(r"naa.[A-Za-z0-9]{32}\Z").match
_ISCSI_SYNTAX: Final = {"iqn": _iqn, "eui": _eui, "naa": _naa}
_MAX_ISCSI_NAME: Final = 64
_MAX_DRIVER: Final = 63
_MAX_TENANT: Final = 64
_host_port: Final = re.compile(r"(?:[^\[\]:]*|\[[^\[\]]*\]):[^:\[\]]*\Z").match


def git_repo(errs: Errors, at: Path, source: Any) -> None:
    rules.required(errs, at, "repository", source.repository)
    paths.descending(errs, at.child("directory"), source.directory)


def gce_disk(errs: Errors, at: Path, source: Any) -> None:
    rules.required(errs, at, "pdName", source.pdName)
    _partition(errs, at, source.partition)


def aws_disk(errs: Errors, at: Path, source: Any) -> None:
    rules.required(errs, at, "volumeID", source.volumeID)
    _partition(errs, at, source.partition)


def nfs(errs: Errors, at: Path, source: NFSVolumeSource) -> None:
    rules.declared(errs, at, source, "server", "path")
    if not source.path.startswith("/"):
        errs.append(field.invalid(at.child("path"), source.path, "must be an absolute path"))


def iscsi(errs: Errors, at: Path, source: ISCSIVolumeSource) -> None:
    rules.required(errs, at, "targetPortal", source.targetPortal)
    if rules.required(errs, at, "iqn", source.iqn):
        _iscsi_name(errs, at.child("iqn"), source.iqn)
    if not 0 <= source.lun <= 255:
        detail = "must be between 0 and 255, inclusive"
        errs.append(field.invalid(at.child("lun"), source.lun, detail))
    if (source.chapAuthDiscovery or source.chapAuthSession) and source.secretRef is None:
        errs.append(field.required(at.child("secretRef")))
    if source.initiatorName is not None:
        _iscsi_name(errs, at.child("initiatorname"), source.initiatorName)


def iscsi_name(errs: Errors, at: Path, volume: str, source: ISCSIVolumeSource) -> None:
    """The name that an initiator makes of the volume's and the portal's."""
    if len(f"{volume}:{source.targetPortal}".encode()) > _MAX_ISCSI_NAME:
        detail = (
            "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if "
            "iscsi.initiatorName is specified."
        )
        errs.append(field.invalid(at.child("name"), volume, detail))


def flocker(errs: Errors, at: Path, source: Any) -> None:
    if not source.datasetName and not source.datasetUUID:
        errs.append(field.required(at, "one of datasetName and datasetUUID is required"))
    if source.datasetName and source.datasetUUID:
        detail = "datasetName and datasetUUID can not be specified simultaneously"
        errs.append(field.invalid(at, "resource", detail))
    if "/" in source.datasetName:
        detail = "must not contain '/'"
        errs.append(field.invalid(at.child("datasetName"), source.datasetName, detail))


def cinder(errs: Errors, at: Path, source: Any) -> None:
    rules.required(errs, at, "volumeID", source.volumeID)
    if source.secretRef is not None:
        rules.required(errs, at.child("secretRef"), "name", source.secretRef.name)


def quobyte(errs: Errors, at: Path, source: QuobyteVolumeSource) -> None:
    pairs = "must be a host:port pair or multiple pairs separated by commas"
    if not source.registry:
        errs.append(field.required(at.child("registry"), pairs))
    elif len(source.tenant.encode()) > _MAX_TENANT:
        detail = "must be a UUID and may not exceed a length of 64 characters"
        errs.append(field.required(at.child("tenant"), detail))
    else:
        for pair in source.registry.split(","):
            if not _host_port(pair):
                errs.append(field.invalid(at.child("registry"), source.registry, pairs))
    rules.required(errs, at, "volume", source.volume)


def fibre_channel(errs: Errors, at: Path, source: FCVolumeSource) -> None:
    where = at.child("targetWWNs")
    if not source.targetWWNs and not source.wwids:
        detail = "must specify either targetWWNs or wwids, but not both"
        errs.append(field.required(where, detail))
    if source.targetWWNs and source.wwids:
        detail = "targetWWNs and wwids can not be specified simultaneously"
        errs.append(field.invalid(where, source.targetWWNs, detail))
    if source.targetWWNs:
        if source.lun is None:
            detail = "lun is required if targetWWNs is specified"
            errs.append(field.required(at.child("lun"), detail))
        elif not 0 <= source.lun <= 255:
            detail = "must be between 0 and 255, inclusive"
            errs.append(field.invalid(at.child("lun"), source.lun, detail))


def flex(errs: Errors, at: Path, source: FlexVolumeSource) -> None:
    rules.required(errs, at, "driver", source.driver)
    for key in source.options:
        domain = "." + key.partition("/")[0].lower()
        if domain.endswith((".kubernetes.io", ".k8s.io")):
            detail = "kubernetes.io and k8s.io namespaces are reserved"
            errs.append(field.invalid(at.child("options").key(key), key, detail))


def azure_disk(errs: Errors, at: Path, source: AzureDiskVolumeSource) -> None:
    rules.declared(errs, at, source)
    if source.kind is None:
        return
    managed = source.kind == "Managed"
    if not source.diskURI.startswith("/subscriptions/" if managed else "https://"):
        form = (
            "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/"
            "disks/{disk-id}"
            if managed
            else "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
        )
        errs.append(field.not_supported(at.child("diskURI"), source.diskURI, (form,)))


def storageos(errs: Errors, at: Path, source: StorageOSVolumeSource) -> None:
    rules.required_syntax(errs, at, "volumeName", source.volumeName, names.is_dns1123_label)
    if source.volumeNamespace:
        check = names.is_dns1123_label
        rules.syntax(errs, at, "volumeNamespace", source.volumeNamespace, check)
    if source.secretRef is not None:
        rules.required(errs, at.child("secretRef"), "name", source.secretRef.name)


def scale_io(errs: Errors, at: Path, source: Any) -> None:
    rules.declared(errs, at, source, "gateway", "system")
    rules.required(errs, at, "volumeName", source.volumeName)


def csi(errs: Errors, at: Path, source: CSIVolumeSource) -> None:
    driver_name(errs, at.child("driver"), source.driver)
    secret = source.nodePublishSecretRef
    if secret is None:
        return
    if rules.required(errs, at.child("nodePublishSecretRef"), "name", secret.name):
        rules.syntax(errs, at, "name", secret.name, names.is_dns1123_subdomain)


def driver_name(errs: Errors, at: Path, name: str) -> None:
    """The name of a CSI driver."""
    if not name:
        errs.append(field.required(at))
        return
    if len(name.encode()) > _MAX_DRIVER:
        errs.append(field.too_long(at, _MAX_DRIVER))
    rules.add(errs, at, name, names.is_dns1123_subdomain(name.lower()))


def _partition(errs: Errors, at: Path, number: int) -> None:
    if not 0 <= number <= 255:
        detail = "must be between 1 and 255, inclusive"
        errs.append(field.invalid(at.child("partition"), number, detail))


def is_iscsi_name(name: str) -> bool:
    """Is it a name of RFC 3720: iqn, eui or naa?"""
    check = _ISCSI_SYNTAX.get(name[:3])
    return check is not None and bool(check(name))


def _iscsi_name(errs: Errors, at: Path, name: str) -> None:
    check = _ISCSI_SYNTAX.get(name[:3])
    if check is None:
        detail = "must be valid format starting with iqn, eui, or naa"
        errs.append(field.invalid(at, name, detail))
    elif not check(name):
        errs.append(field.invalid(at, name, "must be valid format"))
