"""Types of volumes: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaimTemplate
from trireme.api.core.v1.pod.container import PullPolicy
from trireme.api.core.v1.pod.sources import KeyToPath, ObjectFieldSelector, ResourceFieldSelector
from trireme.api.core.v1.references import LocalObjectReference
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
    Int32,
    Int64,
    Quantity,
    Required,
    Struct,
    always,
)


class AzureFileVolumeSource(Struct):
    secretName: Annotated[str, Required()] = always(str)
    shareName: Annotated[str, Required()] = always(str)
    readOnly: bool = False


class CSIVolumeSource(Struct):
    driver: Annotated[str, Required()] = always(str)
    readOnly: bool | None = None
    fsType: str | None = None
    volumeAttributes: dict[str, str] = {}
    nodePublishSecretRef: LocalObjectReference | None = None


class CephFSVolumeSource(Struct):
    monitors: Annotated[list[str], Required(), Atomic()] = always(list)
    path: str = ""
    user: str = ""
    secretFile: str = ""
    secretRef: LocalObjectReference | None = None
    readOnly: bool = False


class CinderVolumeSource(Struct):
    volumeID: Annotated[str, Required()] = always(str)
    fsType: str = ""
    readOnly: bool = False
    secretRef: LocalObjectReference | None = None


class ConfigMapVolumeSource(Struct):
    name: str = ""
    items: Annotated[list[KeyToPath], Atomic()] = []
    defaultMode: Annotated[Int32 | None, Default(420)] = None
    optional: bool | None = None


class DownwardAPIVolumeFile(Struct):
    path: Annotated[str, Required()] = always(str)
    fieldRef: ObjectFieldSelector | None = None
    resourceFieldRef: ResourceFieldSelector | None = None
    mode: Int32 | None = None


class DownwardAPIVolumeSource(Struct):
    items: Annotated[list[DownwardAPIVolumeFile], Atomic()] = []
    defaultMode: Annotated[Int32 | None, Default(420)] = None


class EmptyDirVolumeSource(Struct):
    medium: str = ""
    sizeLimit: Quantity | None = None


class EphemeralVolumeSource(Struct):
    volumeClaimTemplate: PersistentVolumeClaimTemplate | None = None


class FlexVolumeSource(Struct):
    driver: Annotated[str, Required()] = always(str)
    fsType: str = ""
    secretRef: LocalObjectReference | None = None
    readOnly: bool = False
    options: dict[str, str] = {}


class GitRepoVolumeSource(Struct):
    repository: Annotated[str, Required()] = always(str)
    revision: str = ""
    directory: str = ""


class GlusterfsVolumeSource(Struct):
    endpoints: Annotated[str, Required()] = always(str)
    path: Annotated[str, Required()] = always(str)
    readOnly: bool = False


class ISCSIVolumeSource(Struct):
    targetPortal: Annotated[str, Required()] = always(str)
    iqn: Annotated[str, Required()] = always(str)
    lun: Annotated[Int32, Required()] = always(int)
    iscsiInterface: Annotated[str, Default("default")] = ""
    fsType: str = ""
    readOnly: bool = False
    portals: Annotated[list[str], Atomic()] = []
    chapAuthDiscovery: bool = False
    chapAuthSession: bool = False
    secretRef: LocalObjectReference | None = None
    initiatorName: str | None = None


class ImageVolumeSource(Struct):
    reference: str = ""
    pullPolicy: PullPolicy = ""


class PersistentVolumeClaimVolumeSource(Struct):
    claimName: Annotated[str, Required()] = always(str)
    readOnly: bool = False


class ClusterTrustBundleProjection(Struct):
    name: str | None = None
    signerName: str | None = None
    labelSelector: meta.LabelSelector | None = None
    optional: bool | None = None
    path: Annotated[str, Required()] = always(str)


class ConfigMapProjection(Struct):
    name: str = ""
    items: Annotated[list[KeyToPath], Atomic()] = []
    optional: bool | None = None


class DownwardAPIProjection(Struct):
    items: Annotated[list[DownwardAPIVolumeFile], Atomic()] = []


class PodCertificateProjection(Struct):
    signerName: Annotated[str, Required()] = ""
    keyType: Annotated[str, Required()] = ""
    maxExpirationSeconds: Int32 | None = None
    credentialBundlePath: str = ""
    keyPath: str = ""
    certificateChainPath: str = ""
    userAnnotations: dict[str, str] = {}


class SecretProjection(Struct):
    name: str = ""
    items: Annotated[list[KeyToPath], Atomic()] = []
    optional: bool | None = None


class ServiceAccountTokenProjection(Struct):
    audience: str = ""
    expirationSeconds: Annotated[Int64 | None, Default(3600)] = None
    path: Annotated[str, Required()] = always(str)


class VolumeProjection(Struct):
    secret: SecretProjection | None = None
    downwardAPI: DownwardAPIProjection | None = None
    configMap: ConfigMapProjection | None = None
    serviceAccountToken: ServiceAccountTokenProjection | None = None
    clusterTrustBundle: ClusterTrustBundleProjection | None = None
    podCertificate: PodCertificateProjection | None = None


class ProjectedVolumeSource(Struct):
    sources: Annotated[list[VolumeProjection], Atomic()] = always(list)
    defaultMode: Annotated[Int32 | None, Default(420)] = None


class RBDVolumeSource(Struct):
    monitors: Annotated[list[str], Required(), Atomic()] = always(list)
    image: Annotated[str, Required()] = always(str)
    fsType: str = ""
    pool: Annotated[str, Default("rbd")] = ""
    user: Annotated[str, Default("admin")] = ""
    keyring: Annotated[str, Default("/etc/ceph/keyring")] = ""
    secretRef: LocalObjectReference | None = None
    readOnly: bool = False


class ScaleIOVolumeSource(Struct):
    gateway: Annotated[str, Required()] = always(str)
    system: Annotated[str, Required()] = always(str)
    secretRef: Annotated[LocalObjectReference | None, Required()] = None
    sslEnabled: bool = False
    protectionDomain: str = ""
    storagePool: str = ""
    storageMode: Annotated[str, Default("ThinProvisioned")] = ""
    volumeName: str = ""
    fsType: Annotated[str, Default("xfs")] = ""
    readOnly: bool = False


class SecretVolumeSource(Struct):
    secretName: str = ""
    items: Annotated[list[KeyToPath], Atomic()] = []
    defaultMode: Annotated[Int32 | None, Default(420)] = None
    optional: bool | None = None


class StorageOSVolumeSource(Struct):
    volumeName: str = ""
    volumeNamespace: str = ""
    fsType: str = ""
    readOnly: bool = False
    secretRef: LocalObjectReference | None = None


class Volume(Struct):
    name: Annotated[str, Required()] = always(str)
    hostPath: HostPathVolumeSource | None = None
    emptyDir: EmptyDirVolumeSource | None = None
    gcePersistentDisk: GCEPersistentDiskVolumeSource | None = None
    awsElasticBlockStore: AWSElasticBlockStoreVolumeSource | None = None
    gitRepo: GitRepoVolumeSource | None = None
    secret: SecretVolumeSource | None = None
    nfs: NFSVolumeSource | None = None
    iscsi: ISCSIVolumeSource | None = None
    glusterfs: GlusterfsVolumeSource | None = None
    persistentVolumeClaim: PersistentVolumeClaimVolumeSource | None = None
    rbd: RBDVolumeSource | None = None
    flexVolume: FlexVolumeSource | None = None
    cinder: CinderVolumeSource | None = None
    cephfs: CephFSVolumeSource | None = None
    flocker: FlockerVolumeSource | None = None
    downwardAPI: DownwardAPIVolumeSource | None = None
    fc: FCVolumeSource | None = None
    azureFile: AzureFileVolumeSource | None = None
    configMap: ConfigMapVolumeSource | None = None
    vsphereVolume: VsphereVirtualDiskVolumeSource | None = None
    quobyte: QuobyteVolumeSource | None = None
    azureDisk: AzureDiskVolumeSource | None = None
    photonPersistentDisk: PhotonPersistentDiskVolumeSource | None = None
    projected: ProjectedVolumeSource | None = None
    portworxVolume: PortworxVolumeSource | None = None
    scaleIO: ScaleIOVolumeSource | None = None
    storageos: StorageOSVolumeSource | None = None
    csi: CSIVolumeSource | None = None
    ephemeral: EphemeralVolumeSource | None = None
    image: ImageVolumeSource | None = None


class LocalVolumeSource(Struct):
    path: Annotated[str, Required()] = always(str)
    fsType: str | None = None
