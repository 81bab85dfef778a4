"""What a ResourcePoolStatusRequest is answered, and when it goes. Pure.

Called by ``pool_status``. Upstream: pkg/controller/resourcepoolstatusrequest; KEP-5677.
"""

from __future__ import annotations

from collections.abc import Iterable

from trireme.api.resource.v1.resourceclaim_types import ResourceClaim
from trireme.api.resource.v1.resourceslice_types import ResourceSlice
from trireme.api.resource.v1alpha3.resourcepoolstatusrequest_types import (
    PoolStatus,
    ResourcePoolStatusRequest,
    ResourcePoolStatusRequestStatus,
)
from trireme.machinery import meta, time

# Seconds that a request stays, once it is answered and while it is not.
DONE_TTL, PENDING_TTL = 3600.0, 24 * 3600.0
LIMIT = 100
_LONGEST_ERROR = 256


def compute_status(
    request: ResourcePoolStatusRequest,
    slices: Iterable[ResourceSlice],
    claims: Iterable[ResourceClaim],
    now: float,
) -> ResourcePoolStatusRequestStatus:
    """The pools of a driver, or one of them: how many devices there are, and in use."""
    spec = request.spec
    by_pool: dict[str, list[ResourceSlice]] = {}
    for item in slices:
        name = item.spec.pool.name
        if item.spec.driver == spec.driver and spec.poolName in (None, "", name):
            by_pool.setdefault(name, []).append(item)
    used: dict[str, int] = {}
    for claim in claims:
        if claim.status.allocation is not None:
            for result in claim.status.allocation.devices.results:
                if result.driver == spec.driver:
                    used[result.pool] = used.get(result.pool, 0) + 1
    found = [_pool(spec.driver, name, by_pool[name], used.get(name, 0)) for name in sorted(by_pool)]
    listed = found[: spec.limit if spec.limit is not None else LIMIT]
    incomplete = sum(pool.validationError is not None for pool in listed)
    message = f"Calculated status for {len(listed)} pools"
    condition = meta.Condition(
        type="Complete",
        status="True",
        reason="CalculationComplete",
        message=f"{message} ({incomplete} incomplete)" if incomplete else message,
        lastTransitionTime=time.format(now),
    )
    return ResourcePoolStatusRequestStatus(
        poolCount=len(found), pools=listed, conditions=[condition]
    )


def _pool(driver: str, name: str, slices: list[ResourceSlice], used: int) -> PoolStatus:
    """A pool by the slices of its newest generation."""
    newest = max(item.spec.pool.generation for item in slices)
    slices = [item for item in slices if item.spec.pool.generation == newest]
    nodes = {item.spec.nodeName or "" for item in slices}
    pool = PoolStatus(driver=driver, poolName=name, generation=newest)
    if len(nodes) == 1:
        pool.nodeName = nodes.pop() or None
    expected = slices[0].spec.pool.resourceSliceCount
    if len(slices) < expected:
        text = (
            f"pool {driver}/{name} is incomplete: observed {len(slices)}/{expected} slices at "
            f"generation {newest}"
        )
        pool.validationError = text[:_LONGEST_ERROR]
        return pool
    total = sum(len(item.spec.devices) for item in slices)
    pool.resourceSliceCount = len(slices)
    pool.totalDevices = total
    pool.allocatedDevices = used
    pool.availableDevices = max(0, total - used)
    pool.unavailableDevices = 0
    return pool


def is_complete(status: ResourcePoolStatusRequestStatus) -> bool:
    """Whether the driver has published all slices of the pools."""
    return all(pool.validationError is None for pool in status.pools)


def expires_at(request: ResourcePoolStatusRequest) -> float:
    """When the request is to be deleted, in seconds since 1970."""
    created = time.parse(request.metadata.creationTimestamp or "1970-01-01T00:00:00Z")
    if request.status is None:
        return created + PENDING_TTL
    for item in request.status.conditions:
        if item.type in ("Complete", "Failed") and item.lastTransitionTime:
            return time.parse(item.lastTransitionTime) + DONE_TTL
    return created + DONE_TTL
