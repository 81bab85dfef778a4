"""Types of resourcepoolstatusrequest: see the API reference, resource/v1alpha3."""

from __future__ import annotations

from collections.abc import Callable

from trireme.api import columns, metadata
from trireme.api.resource.v1alpha3 import pool_rules
from trireme.api.resource.v1alpha3.resourcepoolstatusrequest_types import (
    PoolStatus,
    ResourcePoolStatusRequest,
)
from trireme.machinery.meta import Condition
from trireme.machinery.resource import Column, Resource, Timed, status


def prepare_create(new: ResourcePoolStatusRequest) -> None:
    """The status is empty."""
    new.status = None


def _state(obj: ResourcePoolStatusRequest) -> Condition | None:
    """The condition that ended the request, if one did."""
    for item in () if obj.status is None else obj.status.conditions:
        if item.status == "True" and item.type in ("Complete", "Failed"):
            return item
    return None


def _count(of: Callable[[PoolStatus], int | None]) -> Callable[[ResourcePoolStatusRequest], str]:
    """The cell of a number summed over all pools."""

    def cell(obj: ResourcePoolStatusRequest) -> str:
        state = _state(obj)
        if obj.status is None or (state is not None and state.type == "Failed"):
            return "-"
        return str(sum(of(pool) or 0 for pool in obj.status.pools))

    return cell


def _pools(obj: ResourcePoolStatusRequest) -> int:
    return 0 if obj.status is None else obj.status.poolCount or 0


def _status(obj: ResourcePoolStatusRequest) -> str:
    state, pools = _state(obj), _pools(obj)
    if state is None or obj.status is None:
        return "Pending"
    if state.type == "Complete" and pools > len(obj.status.pools):
        return f"Complete ({len(obj.status.pools)}/{pools} pools)"
    return state.type


def _completed(obj: ResourcePoolStatusRequest, now: float) -> str:
    state = _state(obj)
    if state is None or state.type != "Complete" or state.lastTransitionTime is None:
        return columns.NONE
    return columns.since(state.lastTransitionTime, now)


RESOURCE = Resource(
    type=ResourcePoolStatusRequest,
    plural="resourcepoolstatusrequests",
    namespaced=False,
    subresources=(status(),),
    reset_fields={"status": ("metadata", "spec")},
    prepare_create=prepare_create,
    validate=pool_rules.validate,
    validate_update=pool_rules.validate_update,
    prepare_status=metadata.prepare_status,
    validate_status=pool_rules.validate_status,
    unconditional_update=False,
    returns_deleted=True,
    default_on=False,
    columns=(
        columns.NAME,
        Column("Driver", "spec.driver", "Whose pools are asked for."),
        Column("Total", _count(lambda pool: pool.totalDevices), "How many devices there are."),
        Column(
            "Available", _count(lambda pool: pool.availableDevices), "How many of them are free."
        ),
        Column(
            "Allocated", _count(lambda pool: pool.allocatedDevices), "How many of them are in use."
        ),
        Column(
            "Unavailable",
            _count(lambda pool: pool.unavailableDevices),
            "How many of them cannot be used.",
        ),
        Column(
            "Errors",
            _count(lambda pool: pool.validationError is not None),
            "How many pools are faulty.",
        ),
        Column("Pools", _pools, "How many pools match.", type="integer"),
        Column("Status", _status, "How far the request has come."),
        Column("Completed", Timed(_completed), "How long ago the pools were looked at."),
    ),
)
