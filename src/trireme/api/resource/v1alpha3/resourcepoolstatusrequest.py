"""Types of resourcepoolstatusrequest: see the API reference, resource/v1alpha3."""

from __future__ import annotations

from typing import Any

from trireme.api import columns
from trireme.api.resource.v1alpha3 import pool_rules
from trireme.api.resource.v1alpha3.resourcepoolstatusrequest_types import (
    ResourcePoolStatusRequest,
)
from trireme.machinery.resource import Column, Resource, status

_SUMS = ("totalDevices", "availableDevices", "allocatedDevices", "unavailableDevices")
COLUMNS = (
    columns.NAME,
    Column("Driver", description="Whose pools are asked for."),
    Column("Total", description="How many devices there are."),
    Column("Available", description="How many of them are free."),
    Column("Allocated", description="How many of them are in use."),
    Column("Unavailable", description="How many of them cannot be used."),
    Column("Errors", description="How many pools are faulty."),
    Column("Pools", "integer", description="How many pools match."),
    Column("Status", description="How far the request has come."),
    Column("Completed", description="How long ago the pools were looked at."),
)


def prepare_create(new: ResourcePoolStatusRequest) -> None:
    """There is no answer yet."""
    new.status = None


def row(obj: ResourcePoolStatusRequest, now: float) -> list[Any]:
    """The cells of one ResourcePoolStatusRequest."""
    answer, state, done = obj.status, "Pending", None
    cells, pools = ["-"] * 5, 0
    if answer is not None:
        for condition in answer.conditions:
            if condition.status == "True" and condition.type in ("Complete", "Failed"):
                state = condition.type
                done = condition.lastTransitionTime if state == "Complete" else None
                break
        pools = answer.poolCount or 0
        if state != "Failed":
            sums = [sum(getattr(pool, name) or 0 for pool in answer.pools) for name in _SUMS]
            invalid = sum(pool.validationError is not None for pool in answer.pools)
            cells = [str(count) for count in (*sums, invalid)]
        if state == "Complete" and pools > len(answer.pools):
            state = f"Complete ({len(answer.pools)}/{pools} pools)"
    completed = columns.NONE if done is None else columns.since(done, now)
    return [obj.metadata.name, obj.spec.driver, *cells, pools, state, completed]


RESOURCE = Resource(
    type=ResourcePoolStatusRequest,
    plural="resourcepoolstatusrequests",
    namespaced=False,
    subresources=(status(),),
    reset_fields={"status": ("metadata", "spec")},
    prepare_create=prepare_create,
    validate=pool_rules.validate,
    validate_update=pool_rules.validate_update,
    prepare_status=pool_rules.prepare_status,
    validate_status=pool_rules.validate_status,
    unconditional_update=False,
    returns_deleted=True,
    default_on=False,
    columns=COLUMNS,
    row=row,
)
