"""Which pods a node may create: images of its own static pods, which give it no rights.

Called by ``node_restriction``. https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/.
"""

from __future__ import annotations

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.volumes import ProjectedVolumeSource
from trireme.apiserver.admission.contract import Attributes, Context, forbidden
from trireme.domain import pod_references as references
from trireme.machinery import errors, gotext

# Volumes that need nothing of the API, and what those stand for that do.
_HARMLESS = frozenset(
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
_BEHIND = {
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


def check(node: str, attributes: Attributes, context: Context) -> None:
    """403 for a pod that the node may not create."""
    pod: Pod = attributes.new
    who = gotext.quote(node)
    if not references.is_mirror(pod):
        raise forbidden(
            attributes,
            f"pod does not have {gotext.quote(references.MIRROR)} annotation, node {who} can only "
            "create mirror pods",
        )
    if pod.spec.nodeName != node:
        why = f"node {who} can only create pods with spec.nodeName set to itself"
        raise forbidden(attributes, why)
    _check_owner(node, attributes, context)
    named = referenced(pod)
    if named:
        raise forbidden(attributes, f"node {who} can not create pods that reference {named}")


def _check_owner(node: str, attributes: Attributes, context: Context) -> None:
    who, owners = gotext.quote(node), attributes.new.metadata.ownerReferences
    if len(owners) > 1:
        why = f"node {who} can only create pods with a single owner reference set to itself"
        raise forbidden(attributes, why)
    if not owners or (owners[0].apiVersion, owners[0].kind, owners[0].name) != ("v1", "Node", node):
        why = f"node {who} can only create pods with an owner reference set to itself"
        raise forbidden(attributes, why)
    owner = owners[0]
    if not owner.controller:
        why = f"node {who} can only create pods with a controller owner reference set to itself"
        raise forbidden(attributes, why)
    if owner.blockOwnerDeletion:
        why = f"node {who} must not set blockOwnerDeletion on an owner reference"
        raise forbidden(attributes, why)
    stored = context.reader.get(Node, "", node)
    if stored is None:
        raise errors.not_found("nodes", node)
    if stored.metadata.uid != owner.uid:
        why = f"node {node} UID mismatch: expected {owner.uid} got {stored.metadata.uid}"
        raise forbidden(attributes, why)


def referenced(pod: Pod) -> str:
    """The first sort of API object that a pod names, "" for none."""
    if pod.spec.serviceAccountName:
        return "serviceaccounts"
    if references.secrets(pod):
        return "secrets"
    if references.config_maps(pod):
        return "configmaps"
    if pod.spec.resourceClaims:
        return "resourceclaims"
    for volume in pod.spec.volumes:
        for source in volume.__struct_fields__:
            if source == "name" or source in _HARMLESS or getattr(volume, source) is None:
                continue
            if source == "projected":
                found = _projected(volume.projected)
            else:
                found = _BEHIND.get(source, f"volumes of type {source}")
            if found:
                return found
    return ""


def _projected(source: ProjectedVolumeSource | None) -> str:
    for part in source.sources if source is not None else []:
        for name, found in _PROJECTED.items():
            if getattr(part, name) is not None:
                return found
    return ""
