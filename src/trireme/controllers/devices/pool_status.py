"""ResourcePoolStatusRequests: answered once, and deleted when they are old.

In: requests, ResourceSlices, allocated claims. Out: the status of requests; their deletion. Run by
``manager`` with the feature gate DRAResourcePoolStatus. Upstream:
pkg/controller/resourcepoolstatusrequest; KEP-5677.
"""

from __future__ import annotations

from collections.abc import Awaitable

from msgspec.structs import replace

from trireme.api.resource.v1.resourceclaim_types import ResourceClaim
from trireme.api.resource.v1.resourceslice_types import ResourceSlice
from trireme.api.resource.v1alpha3.resourcepoolstatusrequest_types import (
    ResourcePoolStatusRequest,
)
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.devices import plan_pools
from trireme.machinery import errors, meta
from trireme.runtime import triggers
from trireme.runtime.controller import After, Controller
from trireme.runtime.keys import Key

NAME = "resourcepoolstatusrequest-controller"
# Seconds until a pool is looked at again whose driver has not published all slices.
RECHECK = 10.0


def make(context: ControllerContext) -> Controller:
    """Reconciles each request when it comes and when it is old."""
    requests = context.informers.of(ResourcePoolStatusRequest)
    slices = context.informers.of(ResourceSlice)
    claims = context.informers.of(ResourceClaim)
    client, clock = context.client, context.env.clock

    async def reconcile(key: Key) -> After | None:
        request = requests.get(*key)
        if request is None or request.metadata.deletionTimestamp is not None:
            return None
        now, again = clock.now(), None
        if now >= plan_pools.expires_at(request):
            only = meta.Preconditions(uid=request.metadata.uid)
            options = meta.DeleteOptions(preconditions=only)
            await _quietly(client.delete(ResourcePoolStatusRequest, key.name, None, options))
            return None
        if request.status is None:
            status = plan_pools.compute_status(request, slices.list(), claims.list(), now)
            if plan_pools.is_complete(status):
                await _quietly(client.update_status(replace(request, status=status)))
                return None
            again = RECHECK
        left = plan_pools.expires_at(request) - now
        return After(left if again is None else min(left, again))

    # What the slices and claims are is read, and nothing is done when they change.
    return Controller(
        NAME,
        reconcile,
        context.env,
        triggers=[
            (requests, triggers.own()),
            (slices, lambda event: ()),
            (claims, lambda event: ()),
        ],
    )


async def _quietly(request: Awaitable[object]) -> None:
    try:
        await request
    except errors.ApiError as error:
        if not errors.is_not_found(error):
            raise


CONTROLLER = Definition(NAME, make, gate="DRAResourcePoolStatus")
