"""Claims that grow: whoever made the volume expands it, and the user is told so.

In: claims and volumes. Out: events. No kind of volume is expanded by the manager itself: those that
can grow belong to CSI drivers, whose external resizers act on the claim. Run by ``manager``.
Upstream: pkg/controller/volume/expand;
https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims.
"""

from __future__ import annotations

from collections.abc import Iterable

from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.client.resource_interface import MODIFIED
from trireme.controllers.definition import ControllerContext, Definition
from trireme.domain import volumes
from trireme.machinery import quantity
from trireme.machinery.quantity import Quantity
from trireme.runtime import recorder
from trireme.runtime.controller import Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key

WORKERS = 10


def make(context: ControllerContext) -> Controller:
    """Reconciles claims that ask for more than they have."""
    claims = context.informers.of(PersistentVolumeClaim)
    held = context.informers.of(PersistentVolume)

    async def reconcile(key: Key) -> None:
        claim = claims.get(*key)
        if claim is None or volumes.request(claim) <= _capacity(claim):
            return
        volume = held.get("", claim.spec.volumeName)
        reference = volume.spec.claimRef if volume is not None else None
        if volume is None or reference is None or reference.uid != claim.metadata.uid:
            return
        own = volume.spec.csi is not None or volume.spec.flexVolume is not None
        context.recorder.event(
            claim,
            recorder.NORMAL if own else recorder.WARNING,
            "ExternalExpanding",
            "waiting for an external controller to expand this PVC",
        )

    def grown(event: Event[PersistentVolumeClaim]) -> Iterable[Key]:
        """A bound claim whose request or capacity has grown."""
        new, old = event.object, event.old
        if event.type != MODIFIED or old is None or new.status.phase != "Bound":
            return ()
        more = volumes.request(new) > volumes.request(old) or _capacity(new) > _capacity(old)
        return [event.key] if more else ()

    return Controller(
        "volume_expand", reconcile, context.env, triggers=[(claims, grown)], workers=WORKERS
    )


def _capacity(claim: PersistentVolumeClaim) -> Quantity:
    return quantity.parse(claim.status.capacity.get("storage", "0"))


CONTROLLER = Definition(
    "persistentvolume-expander-controller",
    make,
    account="expand-controller",
    component="volume_expand",
)
