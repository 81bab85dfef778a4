"""A PersistentVolume that is bound to a claim is not deleted before the claim.

In: volumes. Out: the finalizer kubernetes.io/pv-protection. Run by ``manager``. Upstream:
pkg/controller/volume/pvprotection.
"""

from __future__ import annotations

from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.storage import protection
from trireme.domain import volumes
from trireme.runtime.controller import Controller


def make(context: ControllerContext) -> Controller:
    """Reconciles volumes that are deleted or lack the finalizer."""

    async def is_used(volume: PersistentVolume) -> bool:
        return volume.status.phase == "Bound"

    informer = context.informers.of(PersistentVolume)
    return protection.controller(
        "pvprotection", context, informer, volumes.PV_PROTECTION, is_used, []
    )


CONTROLLER = Definition(
    "persistentvolume-protection-controller", make, account="pv-protection-controller"
)
