"""A VolumeAttributesClass that a claim or volume names is not deleted.

In: classes, claims, volumes. Out: the finalizer kubernetes.io/vac-protection. Run by ``manager``.
Upstream: pkg/controller/volume/vacprotection.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.storage.v1.volumeattributesclass import VolumeAttributesClass
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.storage import protection
from trireme.domain import volumes
from trireme.runtime import triggers
from trireme.runtime.controller import Controller
from trireme.runtime.keys import Key


def make(context: ControllerContext) -> Controller:
    """Reconciles classes that are deleted or lack the finalizer."""
    claims = context.informers.of(PersistentVolumeClaim)
    held = context.informers.of(PersistentVolume)
    claims.add_index(of_claim)
    held.add_index(of_volume)

    async def is_used(found: VolumeAttributesClass) -> bool:
        name = found.metadata.name
        return bool(held.by_index(of_volume, name) or claims.by_index(of_claim, name))

    return protection.controller(
        "vacprotection",
        context,
        context.informers.of(VolumeAttributesClass),
        volumes.VAC_PROTECTION,
        is_used,
        [
            (claims, triggers.mapped(lambda obj: [Key("", str(n)) for n in of_claim(obj)])),
            (held, triggers.mapped(lambda obj: [Key("", str(n)) for n in of_volume(obj)])),
        ],
    )


def of_claim(claim: PersistentVolumeClaim) -> Iterable[Hashable]:
    """Index of claims: the classes that one names or has."""
    return volumes.attribute_classes(claim)


def of_volume(volume: PersistentVolume) -> Iterable[Hashable]:
    """Index of volumes: the class."""
    name = volume.spec.volumeAttributesClassName
    return [name] if name else []


CONTROLLER = Definition("volumeattributesclass-protection-controller", make)
