"""Types of volumesources: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.machinery.types import Atomic, Default, Enum, Int32, Required, Struct, always

AzureDataDiskCachingMode = Annotated[str, Enum(("None", "ReadOnly", "ReadWrite"))]
AzureDataDiskKind = Annotated[str, Enum(("Dedicated", "Managed", "Shared"))]
HostPathType = Annotated[
    str,
    Enum(
        (
            "",
            "BlockDevice",
            "CharDevice",
            "Directory",
            "DirectoryOrCreate",
            "File",
            "FileOrCreate",
            "Socket",
        )
    ),
]


class AWSElasticBlockStoreVolumeSource(Struct):
    volumeID: Annotated[str, Required()] = always(str)
    fsType: str = ""
    partition: Int32 = 0
    readOnly: bool = False


class AzureDiskVolumeSource(Struct):
    diskName: Annotated[str, Required()] = always(str)
    diskURI: Annotated[str, Required()] = always(str)
    cachingMode: Annotated[AzureDataDiskCachingMode | None, Default("ReadWrite")] = None
    fsType: Annotated[str | None, Default("ext4")] = None
    readOnly: Annotated[bool | None, Default(False)] = None
    kind: Annotated[AzureDataDiskKind | None, Default("Shared")] = None


class FCVolumeSource(Struct):
    targetWWNs: Annotated[list[str], Atomic()] = []
    lun: Int32 | None = None
    fsType: str = ""
    readOnly: bool = False
    wwids: Annotated[list[str], Atomic()] = []


class FlockerVolumeSource(Struct):
    datasetName: str = ""
    datasetUUID: str = ""


class GCEPersistentDiskVolumeSource(Struct):
    pdName: Annotated[str, Required()] = always(str)
    fsType: str = ""
    partition: Int32 = 0
    readOnly: bool = False


class HostPathVolumeSource(Struct):
    path: Annotated[str, Required()] = always(str)
    type: Annotated[HostPathType | None, Default("")] = None


class NFSVolumeSource(Struct):
    server: Annotated[str, Required()] = always(str)
    path: Annotated[str, Required()] = always(str)
    readOnly: bool = False


class PhotonPersistentDiskVolumeSource(Struct):
    pdID: Annotated[str, Required()] = always(str)
    fsType: str = ""


class PortworxVolumeSource(Struct):
    volumeID: Annotated[str, Required()] = always(str)
    fsType: str = ""
    readOnly: bool = False


class QuobyteVolumeSource(Struct):
    registry: Annotated[str, Required()] = always(str)
    volume: Annotated[str, Required()] = always(str)
    readOnly: bool = False
    user: str = ""
    group: str = ""
    tenant: str = ""


class VsphereVirtualDiskVolumeSource(Struct):
    volumePath: Annotated[str, Required()] = always(str)
    fsType: str = ""
    storagePolicyName: str = ""
    storagePolicyID: str = ""
