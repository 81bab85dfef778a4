"""Types of persistentvolume: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.core.v1.persistentvolumeclaim_types import (
    PersistentVolumeAccessMode,
    PersistentVolumeMode,
)
from trireme.api.core.v1.references import ObjectReference, SecretReference
from trireme.api.core.v1.selection import NodeSelector
from trireme.api.core.v1.volumesources import (
    AWSElasticBlockStoreVolumeSource,
    AzureDiskVolumeSource,
    FCVolumeSource,
    FlockerVolumeSource,
    GCEPersistentDiskVolumeSource,
    HostPathVolumeSource,
    NFSVolumeSource,
    PhotonPersistentDiskVolumeSource,
    PortworxVolumeSource,
    QuobyteVolumeSource,
    VsphereVirtualDiskVolumeSource,
)
from trireme.machinery import meta
from trireme.machinery.types import (
    Atomic,
    Default,
    Enum,
    Granular,
    Int32,
    Quantity,
    Required,
    Struct,
    Time,
    always,
    constant,
    null,
)

PersistentVolumePhase = Annotated[
    str, Enum(("Available", "Bound", "Failed", "Pending", "Released"))
]
PersistentVolumeReclaimPolicy = Annotated[str, Enum(("Delete", "Recycle", "Retain"))]


class AzureFilePersistentVolumeSource(Struct):
    secretName: Annotated[str, Required()] = always(str)
    shareName: Annotated[str, Required()] = always(str)
    readOnly: bool = False
    secretNamespace: str | None = null()


class CSIPersistentVolumeSource(Struct):
    driver: Annotated[str, Required()] = always(str)
    volumeHandle: Annotated[str, Required()] = always(str)
    readOnly: bool = False
    fsType: str = ""
    volumeAttributes: dict[str, str] = {}
    controllerPublishSecretRef: SecretReference | None = None
    nodeStageSecretRef: SecretReference | None = None
    nodePublishSecretRef: SecretReference | None = None
    controllerExpandSecretRef: SecretReference | None = None
    nodeExpandSecretRef: SecretReference | None = None


class CephFSPersistentVolumeSource(Struct):
    monitors: Annotated[list[str] | None, Required(), Atomic()] = null()
    path: str = ""
    user: str = ""
    secretFile: str = ""
    secretRef: SecretReference | None = None
    readOnly: bool = False


class CinderPersistentVolumeSource(Struct):
    volumeID: Annotated[str, Required()] = always(str)
    fsType: str = ""
    readOnly: bool = False
    secretRef: SecretReference | None = None


class FlexPersistentVolumeSource(Struct):
    driver: Annotated[str, Required()] = always(str)
    fsType: str = ""
    secretRef: SecretReference | None = None
    readOnly: bool = False
    options: dict[str, str] = {}


class GlusterfsPersistentVolumeSource(Struct):
    endpoints: Annotated[str, Required()] = always(str)
    path: Annotated[str, Required()] = always(str)
    readOnly: bool = False
    endpointsNamespace: str | None = None


class ISCSIPersistentVolumeSource(Struct):
    targetPortal: Annotated[str, Required()] = always(str)
    iqn: Annotated[str, Required()] = always(str)
    lun: Annotated[Int32, Required()] = always(int)
    iscsiInterface: Annotated[str, Default("default")] = ""
    fsType: str = ""
    readOnly: bool = False
    portals: Annotated[list[str], Atomic()] = []
    chapAuthDiscovery: bool = False
    chapAuthSession: bool = False
    secretRef: SecretReference | None = None
    initiatorName: str | None = None


class LocalVolumeSource(Struct):
    path: Annotated[str, Required()] = always(str)
    fsType: str | None = None


class RBDPersistentVolumeSource(Struct):
    monitors: Annotated[list[str] | None, Required(), Atomic()] = null()
    image: Annotated[str, Required()] = always(str)
    fsType: str = ""
    pool: Annotated[str, Default("rbd")] = ""
    user: Annotated[str, Default("admin")] = ""
    keyring: Annotated[str, Default("/etc/ceph/keyring")] = ""
    secretRef: SecretReference | None = None
    readOnly: bool = False


class ScaleIOPersistentVolumeSource(Struct):
    gateway: Annotated[str, Required()] = always(str)
    system: Annotated[str, Required()] = always(str)
    secretRef: Annotated[SecretReference | None, Required()] = null()
    sslEnabled: bool = False
    protectionDomain: str = ""
    storagePool: str = ""
    storageMode: Annotated[str, Default("ThinProvisioned")] = ""
    volumeName: str = ""
    fsType: Annotated[str, Default("xfs")] = ""
    readOnly: bool = False


class StorageOSPersistentVolumeSource(Struct):
    volumeName: str = ""
    volumeNamespace: str = ""
    fsType: str = ""
    readOnly: bool = False
    secretRef: ObjectReference | None = None


class VolumeNodeAffinity(Struct):
    required: NodeSelector | None = None


class PersistentVolumeSpec(Struct):
    capacity: dict[str, Quantity] = {}
    gcePersistentDisk: GCEPersistentDiskVolumeSource | None = None
    awsElasticBlockStore: AWSElasticBlockStoreVolumeSource | None = None
    hostPath: HostPathVolumeSource | None = None
    glusterfs: GlusterfsPersistentVolumeSource | None = None
    nfs: NFSVolumeSource | None = None
    rbd: RBDPersistentVolumeSource | None = None
    iscsi: ISCSIPersistentVolumeSource | None = None
    cinder: CinderPersistentVolumeSource | None = None
    cephfs: CephFSPersistentVolumeSource | None = None
    fc: FCVolumeSource | None = None
    flocker: FlockerVolumeSource | None = None
    flexVolume: FlexPersistentVolumeSource | None = None
    azureFile: AzureFilePersistentVolumeSource | None = None
    vsphereVolume: VsphereVirtualDiskVolumeSource | None = None
    quobyte: QuobyteVolumeSource | None = None
    azureDisk: AzureDiskVolumeSource | None = None
    photonPersistentDisk: PhotonPersistentDiskVolumeSource | None = None
    portworxVolume: PortworxVolumeSource | None = None
    scaleIO: ScaleIOPersistentVolumeSource | None = None
    local: LocalVolumeSource | None = None
    storageos: StorageOSPersistentVolumeSource | None = None
    csi: CSIPersistentVolumeSource | None = None
    accessModes: Annotated[list[PersistentVolumeAccessMode], Atomic()] = []
    claimRef: Annotated[ObjectReference | None, Granular()] = None
    persistentVolumeReclaimPolicy: PersistentVolumeReclaimPolicy = ""
    storageClassName: str = ""
    mountOptions: Annotated[list[str], Atomic()] = []
    volumeMode: PersistentVolumeMode | None = None
    nodeAffinity: VolumeNodeAffinity | None = None
    volumeAttributesClassName: str | None = None


class PersistentVolumeStatus(Struct):
    phase: Annotated[PersistentVolumePhase, Default("Pending")] = ""
    message: str = ""
    reason: str = ""
    lastPhaseTransitionTime: Time | None = None


class PersistentVolume(Struct):
    kind: str = constant("PersistentVolume")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: PersistentVolumeSpec = always(PersistentVolumeSpec)
    status: PersistentVolumeStatus = always(PersistentVolumeStatus)
