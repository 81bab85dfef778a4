"""Types of volumeattachment: see the API reference, storage/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api import columns, rules
from trireme.api.core.v1 import persistentvolume_rules
from trireme.api.core.v1.persistentvolume_types import PersistentVolumeSpec
from trireme.api.core.v1.pod.rules import storage
from trireme.api.rules import Errors
from trireme.api.storage.v1.rules import MOST_BYTES
from trireme.machinery import field, meta, names
from trireme.machinery.field import Path
from trireme.machinery.resource import Column, Resource, status
from trireme.machinery.types import Int32, Required, Struct, Time, always, constant, null


class VolumeAttachmentSource(Struct):
    persistentVolumeName: str | None = None
    inlineVolumeSpec: PersistentVolumeSpec | None = None


class VolumeAttachmentSpec(Struct):
    attacher: Annotated[str, Required()] = always(str)
    source: Annotated[VolumeAttachmentSource, Required()] = always(VolumeAttachmentSource)
    nodeName: Annotated[str, Required()] = always(str)


class VolumeError(Struct):
    time: Time | None = null()
    message: str = ""
    errorCode: Int32 | None = None


class VolumeAttachmentStatus(Struct):
    attached: Annotated[bool, Required()] = always(bool)
    attachmentMetadata: dict[str, str] = {}
    attachError: VolumeError | None = None
    detachError: VolumeError | None = None


class VolumeAttachment(Struct):
    kind: str = constant("VolumeAttachment")
    apiVersion: str = constant("storage.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[VolumeAttachmentSpec, Required()] = always(VolumeAttachmentSpec)
    status: VolumeAttachmentStatus = always(VolumeAttachmentStatus)


_LONGEST_MESSAGE = 1024


def validate(new: VolumeAttachment) -> Errors:
    """Attacher, node and source."""
    errs: Errors = []
    at, spec = field.path("spec"), new.spec
    storage.driver_name(errs, at.child("attacher"), spec.attacher)
    _source(errs, at.child("source"), spec.source)
    rules.syntax(errs, at, "nodeName", spec.nodeName, names.is_dns1123_subdomain)
    _status(errs, field.path("status"), new.status)
    volume = spec.source.persistentVolumeName
    if volume is not None:
        where = field.path("spec.source.persistentVolumeName")
        rules.add(errs, where, volume, names.is_dns1123_subdomain(volume))
    return errs


def _source(errs: Errors, at: Path, source: VolumeAttachmentSource) -> None:
    volume, inline = source.persistentVolumeName, source.inlineVolumeSpec
    detail = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    if volume is None and inline is None:
        errs.append(field.required(at, detail))
    elif volume is not None and inline is not None:
        errs.append(field.forbidden(at, detail))
    elif inline is not None:
        persistentvolume_rules.inline(errs, at.child("inlineVolumeSpec"), inline)
    elif not volume:
        where = at.child("persistentVolumeName")
        errs.append(field.required(where, "must specify non empty persistentVolumeName"))


def _status(errs: Errors, at: Path, status: VolumeAttachmentStatus) -> None:
    metadata = status.attachmentMetadata.items()
    if sum(len(key.encode()) + len(text.encode()) for key, text in metadata) > MOST_BYTES:
        errs.append(field.too_long(at.child("attachmentMetadata"), MOST_BYTES))
    for name in ("attachError", "detachError"):
        error: VolumeError | None = getattr(status, name)
        if error is None:
            continue
        if len(error.message.encode()) > _LONGEST_MESSAGE:
            errs.append(field.too_long(at.child(name, "message"), MOST_BYTES))
        if error.errorCode is not None and error.errorCode < 0:
            detail = "must be between 0 and 2147483647, inclusive"
            errs.append(field.invalid(at.child(name, "errorCode"), error.errorCode, detail))


def validate_update(new: VolumeAttachment, old: VolumeAttachment) -> Errors:
    """The spec stays."""
    errs = validate(new)
    rules.unchanged(errs, field.path(), "spec", new.spec, old.spec)
    return errs


RESOURCE = Resource(
    type=VolumeAttachment,
    plural="volumeattachments",
    namespaced=False,
    subresources=(status(),),
    reset_fields={"status": ("metadata", "spec")},
    validate=validate,
    validate_update=validate_update,
    validate_status=validate_update,
    unconditional_update=False,
    returns_deleted=True,
    columns=(
        columns.NAME,
        Column("Attacher", "spec.attacher", "The CSI driver that attaches it.", format="name"),
        Column("PV", "spec.source.persistentVolumeName", "The volume.", empty=""),
        Column("Node", "spec.nodeName", "The node that gets it."),
        Column("Attached", "status.attached", "Whether the node has it.", type="boolean"),
        columns.AGE,
    ),
)
