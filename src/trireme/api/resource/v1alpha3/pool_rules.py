"""Rules of ResourcePoolStatusRequests: spec and status are set once.

Called by: ResourcePoolStatusRequest. Upstream: pkg/apis/resource/validation and the tags of
resource/v1alpha3; KEP-5677.
"""

from __future__ import annotations

from typing import Final

from trireme.api import rules
from trireme.api.resource.v1 import checks
from trireme.api.resource.v1alpha3.resourcepoolstatusrequest_types import (
    PoolStatus,
    ResourcePoolStatusRequest,
    ResourcePoolStatusRequestStatus,
)
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path

_MOST_POOLS: Final = 1000
_MOST_CONDITIONS: Final = 10
_LONGEST_ERROR: Final = 256
_LONGEST_POOL: Final = 253
_COUNTS: Final = ("totalDevices", "allocatedDevices", "availableDevices", "unavailableDevices")


def validate(new: ResourcePoolStatusRequest) -> Errors:
    """Whose pools, and how many of them."""
    errs: Errors = []
    at, spec = field.path("spec"), new.spec
    _driver(errs, at, spec.driver)
    if spec.poolName is not None:
        _pool_name(errs, at.child("poolName"), spec.poolName)
    if spec.limit is None:
        errs.append(field.required(at.child("limit")))
    else:
        if spec.limit > _MOST_POOLS:
            detail = f"must be less than or equal to {_MOST_POOLS}"
            errs.append(field.invalid(at.child("limit"), spec.limit, detail))
        _at_least(errs, at, "limit", spec.limit, 1)
    return errs


def _driver(errs: Errors, at: Path, name: str) -> None:
    rules.required_syntax(errs, at, "driver", name, names.is_dns1123_subdomain_caseless)


def _pool_name(errs: Errors, at: Path, name: str) -> None:
    if len(name.encode()) > _LONGEST_POOL:
        errs.append(field.too_long(at, _LONGEST_POOL))
    for position, part in enumerate(name.split("/")):
        if not part:
            errs.append(field.invalid(at, name, f"segment {position}: must not be empty"))
            continue
        for message in names.is_dns1123_subdomain(part):
            errs.append(field.invalid(at, part, f"segment {position}: {message}"))


def _at_least(errs: Errors, at: Path, name: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        detail = f"must be greater than or equal to {least}"
        errs.append(field.invalid(at.child(name), value, detail))


def validate_update(new: ResourcePoolStatusRequest, old: ResourcePoolStatusRequest) -> Errors:
    """The spec stays."""
    errs: Errors = []
    rules.unchanged(errs, field.path(), "spec", new.spec, old.spec)
    return errs


def validate_status(new: ResourcePoolStatusRequest, old: ResourcePoolStatusRequest) -> Errors:
    """A status that is set stays."""
    errs: Errors = []
    if old.status is not None:
        rules.unchanged(errs, field.path(), "status", new.status, old.status)
    elif new.status is not None:
        _answer(errs, field.path("status"), new.status)
    return errs


def _answer(errs: Errors, at: Path, answer: ResourcePoolStatusRequestStatus) -> None:
    where = at.child("conditions")
    rules.conditions(errs, where, answer.conditions)
    if answer.poolCount is None:
        errs.append(field.required(at.child("poolCount")))
    _at_least(errs, at, "poolCount", answer.poolCount, 0)
    checks.each(errs, at.child("pools"), answer.pools, _MOST_POOLS, _pool)
    if len(answer.conditions) > _MOST_CONDITIONS:
        errs.append(field.too_many(where, len(answer.conditions), _MOST_CONDITIONS))
        return
    used: set[str] = set()
    for position, condition in enumerate(answer.conditions):
        if condition.type in used:
            errs.append(field.duplicate(where.index(position), condition))
        used.add(condition.type)


def _pool(errs: Errors, at: Path, pool: PoolStatus) -> None:
    _driver(errs, at, pool.driver)
    if rules.required(errs, at, "poolName", pool.poolName):
        _pool_name(errs, at.child("poolName"), pool.poolName)
    if not pool.generation:
        errs.append(field.required(at.child("generation")))
    _at_least(errs, at, "generation", pool.generation, 0)
    _at_least(errs, at, "resourceSliceCount", pool.resourceSliceCount, 1)
    for name in _COUNTS:
        _at_least(errs, at, name, getattr(pool, name), 0)
    if pool.nodeName is not None:
        rules.syntax(errs, at, "nodeName", pool.nodeName, names.is_dns1123_subdomain)
    if pool.validationError is not None and len(pool.validationError.encode()) > _LONGEST_ERROR:
        errs.append(field.too_long(at.child("validationError"), _LONGEST_ERROR))
