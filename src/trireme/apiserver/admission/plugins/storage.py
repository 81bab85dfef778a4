"""What admission does for storage: default classes, finalizers, and whether a claim may grow.

DefaultStorageClass, StorageObjectInUseProtection and PersistentVolumeClaimResize:
https://kubernetes.io/docs/concepts/storage/persistent-volumes/.
"""

from __future__ import annotations

from typing import Final

from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.storage.v1.storageclass import DEFAULT, StorageClass
from trireme.api.storage.v1.volumeattributesclass import VolumeAttributesClass
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase, forbidden
from trireme.domain import default_class, volumes
from trireme.machinery.resource import Resource

_FINALIZERS: Final[dict[type, str]] = {
    PersistentVolume: volumes.PV_PROTECTION,
    PersistentVolumeClaim: volumes.PVC_PROTECTION,
    VolumeAttributesClass: volumes.VAC_PROTECTION,
}


class DefaultStorageClass(PluginBase):
    """A claim that names no class gets the default one."""

    name = "DefaultStorageClass"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        of_claims = resource.type is PersistentVolumeClaim
        return of_claims and not subresource and operation == "CREATE"

    def admit(self, attributes: Attributes, context: Context) -> None:
        claim: PersistentVolumeClaim = attributes.new
        if volumes.has_class(claim):
            return
        default = default_class.of(context.reader.list(StorageClass), DEFAULT)
        if default is not None:
            claim.spec.storageClassName = default.metadata.name


class StorageObjectInUseProtection(PluginBase):
    """What is created has the finalizer from the start with which its use keeps it."""

    name = "StorageObjectInUseProtection"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource.type in _FINALIZERS and not subresource and operation == "CREATE"

    def admit(self, attributes: Attributes, context: Context) -> None:
        finalizer = _FINALIZERS[attributes.resource.type]
        meta = attributes.new.metadata
        if finalizer not in meta.finalizers:
            meta.finalizers = [*meta.finalizers, finalizer]


class PersistentVolumeClaimResize(PluginBase):
    """Only a claim grows that is bound, and whose class says that its volumes can."""

    name = "PersistentVolumeClaimResize"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        of_claims = resource.type is PersistentVolumeClaim
        return of_claims and not subresource and operation == "UPDATE"

    def validate(self, attributes: Attributes, context: Context) -> None:
        new: PersistentVolumeClaim = attributes.new
        old: PersistentVolumeClaim = attributes.old
        if volumes.request(new) <= volumes.request(old):
            return
        if old.status.phase != "Bound":
            raise forbidden(attributes, "Only bound persistent volume claims can be expanded")
        name = volumes.class_of(new)
        same = bool(name) and name == volumes.class_of(old)
        found = context.reader.get(StorageClass, "", name) if same else None
        if found is None or not found.allowVolumeExpansion:
            raise forbidden(
                attributes,
                "only dynamically provisioned pvc can be resized and the storageclass that "
                "provisions the pvc must support resize",
            )
