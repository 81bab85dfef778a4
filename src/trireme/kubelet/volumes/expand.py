"""Grows the file systems of volumes that became larger.

In: a claim and its volume. Out: one call of the driver, the claim's status, events. Called by the
volume plugins. Rules: concepts/storage/persistent-volumes#expanding-persistent-volumes-claims;
KEP-1790 (recovery); upstream pkg/volume/util/operationexecutor.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from trireme.api.core import v1 as core
from trireme.kit.env import Env
from trireme.kubelet.csi.contract import INFEASIBLE, UNFINISHED, CsiError
from trireme.kubelet.events import NORMAL, WARNING, Events
from trireme.kubelet.volumes.plugin import Objects, VolumeError
from trireme.machinery import quantity, time

PENDING, IN_PROGRESS = "NodeResizePending", "NodeResizeInProgress"
NOT_FEASIBLE = "NodeResizeInfeasible"
ERROR = "NodeResizeError"
STORAGE = "storage"
CONDITIONS = frozenset({"Resizing", "FileSystemResizePending", "ControllerResizeError", ERROR})


def new_size(claim: core.PersistentVolumeClaim, volume: core.PersistentVolume) -> str:
    """The size that the node has to grow the volume to, or "". Pure."""
    status = claim.status
    step = status.allocatedResourceStatuses.get(STORAGE, "")
    if step in (PENDING, IN_PROGRESS):
        return status.allocatedResources.get(STORAGE, "")
    if step or status.allocatedResources:
        return ""
    # A resizer that knows nothing of recovery says so by the volume's size alone.
    size, known = volume.spec.capacity.get(STORAGE, "0"), status.capacity.get(STORAGE, "0")
    return size if quantity.parse(size) > quantity.parse(known) else ""


class Expander:
    """Expansions on one node."""

    def __init__(self, env: Env, objects: Objects, events: Events, node: str) -> None:
        self._env = env
        self._objects = objects
        self._events = events
        self._node = node
        # Volumes whose last expansion here ended with an error that is final.
        self._failed: set[str] = set()

    async def expand(
        self,
        pod: core.Pod,
        claim: core.PersistentVolumeClaim,
        name: str,
        size: str,
        call: Callable[[int], Awaitable[None]],
    ) -> None:
        """Grow volume ``name`` to ``size``. CsiError or VolumeError of ``call`` become a
        condition of the claim and an event: the pod goes on with what it has."""
        if claim.status.allocatedResourceStatuses.get(STORAGE) == PENDING:
            step = {"allocatedResourceStatuses": {STORAGE: IN_PROGRESS}}
            claim = await self._objects.patch_claim_status(claim, step)
        try:
            await call(quantity.parse(size).value())
        except (CsiError, VolumeError) as error:
            message = f'MountVolume.NodeExpandVolume failed for volume "{name}" : {error}'
            self._events.pod(pod, WARNING, "VolumeResizeFailed", message)
            code = error.code if isinstance(error, CsiError) else ""
            if code not in UNFINISHED:
                # A second failure at a size that the claim no longer asks for: the resizer may
                # choose the size anew.
                asked = claim.spec.resources.requests.get(STORAGE, "0")
                given_up = name in self._failed and quantity.parse(asked) != quantity.parse(size)
                self._failed.add(name)
                await self._fail(claim, str(error), infeasible=code in INFEASIBLE or given_up)
            return
        self._failed.discard(name)
        message = f'MountVolume.NodeExpandVolume succeeded for volume "{name}" {self._node}'
        self._events.pod(pod, NORMAL, "FileSystemResizeSuccessful", message)
        self._events.claim(claim, NORMAL, "FileSystemResizeSuccessful", message)
        change: dict[str, Any] = {
            "capacity": {STORAGE: size},
            "conditions": [c for c in claim.status.conditions if c.type not in CONDITIONS],
        }
        if claim.status.allocatedResourceStatuses:
            change["allocatedResourceStatuses"] = {STORAGE: None}
        await self._objects.patch_claim_status(claim, change)

    async def _fail(
        self, claim: core.PersistentVolumeClaim, error: str, *, infeasible: bool
    ) -> None:
        now = time.format(self._env.clock.now())
        condition = core.PersistentVolumeClaimCondition(
            type=ERROR, status="True", lastTransitionTime=now, message=error
        )
        others = [c for c in claim.status.conditions if c.type != ERROR]
        change: dict[str, Any] = {"conditions": [*others, condition]}
        if infeasible and claim.status.allocatedResourceStatuses:
            change["allocatedResourceStatuses"] = {STORAGE: NOT_FEASIBLE}
        await self._objects.patch_claim_status(claim, change)
