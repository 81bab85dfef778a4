"""Which other objects a pod names: secrets, config maps, claims. Pure.

In: a pod. Out: names, all in the pod's own namespace. Callers: the node authorizer (a node may read
what its pods name), and admission (a mirror pod may name nothing). Upstream: pkg/api/v1/pod.
"""

from __future__ import annotations

from collections.abc import Iterator

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.spec import every_container
from trireme.api.core.v1.pod.volumes import ProjectedVolumeSource, Volume

MIRROR = "kubernetes.io/config.mirror"


# Volumes that need nothing of the API, and what those stand for that do.
_WITHOUT_REFERENCES = frozenset(
    {
        "awsElasticBlockStore",
        "azureDisk",
        "cephfs",
        "cinder",
        "downwardAPI",
        "emptyDir",
        "fc",
        "flexVolume",
        "flocker",
        "gcePersistentDisk",
        "gitRepo",
        "hostPath",
        "image",
        "iscsi",
        "nfs",
        "photonPersistentDisk",
        "portworxVolume",
        "quobyte",
        "rbd",
        "scaleIO",
        "storageos",
        "vsphereVolume",
    }
)
_REFERENCED = {
    "configMap": "configmaps (via configmap volumes)",
    "secret": "secrets (via secret volumes)",
    "csi": "csidrivers (via CSI volumes)",
    "glusterfs": "endpoints (via glusterFS volumes)",
    "persistentVolumeClaim": "persistentvolumeclaims",
    "ephemeral": "persistentvolumeclaims (via ephemeral volumes)",
    "azureFile": "secrets (via azureFile volumes)",
}
_PROJECTED = {
    "configMap": "configmaps (via projected volumes)",
    "secret": "secrets (via projected volumes)",
    "serviceAccountToken": "serviceaccounts (via projected volumes)",
    "clusterTrustBundle": "clustertrustbundles",
    "podCertificate": "podcertificates",
}


def is_mirror(pod: Pod) -> bool:
    """Whether the pod is the mirror pod of a static pod."""
    return MIRROR in pod.metadata.annotations


def secrets(pod: Pod) -> set[str]:
    """Secrets of pull credentials, environments and volumes; not those behind a claim."""
    found = {item.name for item in pod.spec.imagePullSecrets}
    for container in every_container(pod.spec):
        found |= {item.secretRef.name for item in container.envFrom if item.secretRef is not None}
        for variable in container.env:
            if variable.valueFrom is not None and variable.valueFrom.secretKeyRef is not None:
                found.add(variable.valueFrom.secretKeyRef.name)
    for volume in pod.spec.volumes:
        found |= set(_volume_secrets(volume))
    return found - {""}


def config_maps(pod: Pod) -> set[str]:
    """Config maps of environments and volumes."""
    found: set[str] = set()
    for container in every_container(pod.spec):
        for source in container.envFrom:
            if source.configMapRef is not None:
                found.add(source.configMapRef.name)
        for variable in container.env:
            if variable.valueFrom is not None and variable.valueFrom.configMapKeyRef is not None:
                found.add(variable.valueFrom.configMapKeyRef.name)
    for volume in pod.spec.volumes:
        if volume.configMap is not None:
            found.add(volume.configMap.name)
        if volume.projected is not None:
            for part in volume.projected.sources:
                if part.configMap is not None:
                    found.add(part.configMap.name)
    return found - {""}


def claims(pod: Pod) -> set[str]:
    """Claims of persistent volumes, those made for the pod's ephemeral volumes included."""
    return {claim(pod, volume) for volume in pod.spec.volumes} - {""}


def claim(pod: Pod, volume: Volume) -> str:
    """The claim behind one of the pod's volumes, "" for none."""
    if volume.persistentVolumeClaim is not None:
        return volume.persistentVolumeClaim.claimName
    return f"{pod.metadata.name}-{volume.name}" if volume.ephemeral is not None else ""


def resource_claims(pod: Pod) -> set[str]:
    """Claims of devices: named by the pod, or made for it and noted in its status."""
    found = {item.resourceClaimName or "" for item in pod.spec.resourceClaims}
    found |= {item.resourceClaimName or "" for item in pod.status.resourceClaimStatuses}
    extended = pod.status.extendedResourceClaimStatus
    if extended is not None:
        found.add(extended.resourceClaimName)
    return found - {""}


def token_audiences(pod: Pod) -> set[str]:
    """The audiences of the service-account tokens in the pod's volumes; "" is the API server."""
    return {
        part.serviceAccountToken.audience
        for volume in pod.spec.volumes
        if volume.projected is not None
        for part in volume.projected.sources
        if part.serviceAccountToken is not None
    }


def api_objects(pod: Pod) -> str:
    """The first sort of API object that a pod names, "" for none."""
    if pod.spec.serviceAccountName:
        return "serviceaccounts"
    if secrets(pod):
        return "secrets"
    if config_maps(pod):
        return "configmaps"
    if pod.spec.resourceClaims:
        return "resourceclaims"
    for volume in pod.spec.volumes:
        for source in volume.__struct_fields__:
            if source == "name" or source in _WITHOUT_REFERENCES or getattr(volume, source) is None:
                continue
            if source == "projected":
                found = _projected(volume.projected)
            else:
                found = _REFERENCED.get(source, f"volumes of type {source}")
            if found:
                return found
    return ""


def _projected(source: ProjectedVolumeSource | None) -> str:
    for part in source.sources if source is not None else []:
        for name, found in _PROJECTED.items():
            if getattr(part, name) is not None:
                return found
    return ""


def _volume_secrets(volume: Volume) -> Iterator[str]:
    if volume.secret is not None:
        yield volume.secret.secretName
    if volume.azureFile is not None:
        yield volume.azureFile.secretName
    if volume.csi is not None and volume.csi.nodePublishSecretRef is not None:
        yield volume.csi.nodePublishSecretRef.name
    if volume.projected is not None:
        for part in volume.projected.sources:
            if part.secret is not None:
                yield part.secret.name
    for source in (
        volume.cephfs,
        volume.cinder,
        volume.flexVolume,
        volume.rbd,
        volume.scaleIO,
        volume.iscsi,
        volume.storageos,
    ):
        if source is not None and source.secretRef is not None:
            yield source.secretRef.name
