"""Rules of what is claimed: requests, selectors, constraints, configuration, tolerations.

Called by: ResourceClaim, ResourceClaimTemplate and DeviceClass. Upstream:
pkg/apis/resource/validation; KEP-4381 and those after it.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any, Final, Protocol, TypeAlias

from trireme.api import rules
from trireme.api.resource.v1 import checks, selectors
from trireme.api.resource.v1.claim_types import (
    DeviceClaim,
    DeviceClaimConfiguration,
    DeviceConstraint,
    DeviceRequest,
    DeviceSelector,
    DeviceSubRequest,
    DeviceToleration,
    ExactDeviceRequest,
    OpaqueDeviceConfiguration,
)
from trireme.api.rules import Errors
from trireme.machinery import field, gotext, names
from trireme.machinery.field import Path

Request: TypeAlias = DeviceSubRequest | ExactDeviceRequest

MOST_REQUESTS: Final = 32
MOST_SELECTORS: Final = 32
_MOST_ALTERNATIVES: Final = 8
_MOST_CONSTRAINTS: Final = 32
_LONGEST_PARAMETERS: Final = 10 * 1024
_MODES: Final = ("All", "ExactCount")
_ONE_OF: Final = "exactly one of `exactly` or `firstAvailable` is required"
_NO_REQUEST: Final = (
    "must be the name of a request in the claim or the name of a request and a subrequest "
    "separated by '/'"
)

Names = dict[str, Set[str]]
"""The names of requests, each with those of its subrequests."""


def defaults(claim: DeviceClaim) -> None:
    """One device for a request that does not say how many."""
    for request in claim.requests or ():
        if request.exactly is not None:
            default_count(request.exactly)
        for alternative in request.firstAvailable:
            default_count(alternative)


class _Counted(Protocol):
    """A request for a number of devices, of whichever version."""

    allocationMode: str
    count: int


def default_count(request: _Counted) -> None:
    """One device by default."""
    if not request.allocationMode:
        request.allocationMode = "ExactCount"
    if request.allocationMode == "ExactCount" and not request.count:
        request.count = 1


def request_names(claim: DeviceClaim) -> Names:
    """Names that configuration, constraints and results may refer to."""
    return {
        request.name: {item.name for item in request.firstAvailable}
        for request in claim.requests or ()
    }


def claim(errs: Errors, at: Path, value: DeviceClaim) -> None:
    """Requests, and what refers to them."""
    known = request_names(value)
    where = at.child("requests")
    checks.each(errs, where, value.requests or (), MOST_REQUESTS, _request, lambda r: r.name)

    def constraint(errs: Errors, at: Path, item: DeviceConstraint) -> None:
        _constraint(errs, at, item, known)

    def config(errs: Errors, at: Path, item: DeviceClaimConfiguration) -> None:
        references(errs, at.child("requests"), item.requests, known)
        opaque(errs, at, item.opaque)

    checks.each(errs, at.child("constraints"), value.constraints, _MOST_CONSTRAINTS, constraint)
    checks.each(errs, at.child("config"), value.config, checks.MOST_CONFIGS, config)


def _request(errs: Errors, at: Path, request: DeviceRequest) -> None:
    checks.label(errs, at.child("name"), request.name)
    if request.exactly is not None and request.firstAvailable:
        errs.append(field.invalid(at, None, f"{_ONE_OF}, but multiple fields are set"))
    elif request.firstAvailable:
        where = at.child("firstAvailable")
        items = request.firstAvailable
        checks.each(errs, where, items, _MOST_ALTERNATIVES, _alternative, lambda r: r.name)
    elif request.exactly is not None:
        _devices(errs, at.child("exactly"), request.exactly)
    else:
        errs.append(field.required(at, _ONE_OF))


def _alternative(errs: Errors, at: Path, request: DeviceSubRequest) -> None:
    checks.label(errs, at.child("name"), request.name)
    _devices(errs, at, request)


def _devices(errs: Errors, at: Path, request: Request) -> None:
    name = request.deviceClassName
    rules.required_syntax(errs, at, "deviceClassName", name, names.is_dns1123_subdomain)
    checks.each(errs, at.child("selectors"), request.selectors, MOST_SELECTORS, selector)
    if request.allocationMode == "All":
        if request.count:
            detail = "must not be specified when allocationMode is 'All'"
            errs.append(field.invalid(at.child("count"), request.count, detail))
    elif request.allocationMode == "ExactCount":
        rules.positive(errs, at, "count", request.count)
    else:
        rules.one_of(errs, at, "allocationMode", request.allocationMode, _MODES)
    for position, item in enumerate(request.tolerations):
        _toleration(errs, at.child("tolerations").index(position), item)


def selector(errs: Errors, at: Path, item: DeviceSelector) -> None:
    """A CEL expression about a device."""
    if item.cel is None:
        errs.append(field.required(at.child("cel")))
    else:
        selectors.check(errs, at.child("cel", "expression"), item.cel.expression)


def _toleration(errs: Errors, at: Path, item: DeviceToleration) -> None:
    if item.key:
        checks.label_key(errs, at.child("key"), item.key)
    if item.operator == "Exists":
        if item.value:
            detail = "must be empty for operator `Exists`"
            errs.append(field.invalid(at.child("value"), item.value, detail))
    elif item.operator == "Equal":
        rules.syntax(errs, at, "value", item.value, names.is_label_value)
    else:
        rules.declared(errs, at, item, "operator")
    rules.declared(errs, at, item, "effect")


def _constraint(errs: Errors, at: Path, item: DeviceConstraint, known: Names) -> None:
    references(errs, at.child("requests"), item.requests, known)
    if item.matchAttribute is not None:
        checks.fully_qualified_name(errs, at.child("matchAttribute"), item.matchAttribute)
    elif item.distinctAttribute is not None:
        checks.fully_qualified_name(errs, at.child("distinctAttribute"), item.distinctAttribute)
    else:
        detail = (
            'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple '
            "fields are set"
        )
        errs.append(field.required(at, detail))


def references(errs: Errors, at: Path, items: list[str], known: Names) -> None:
    """Names of requests, none of them twice."""

    def check(errs: Errors, at: Path, name: str) -> None:
        reference(errs, at, name, known)

    checks.each(errs, at, items, MOST_REQUESTS, check, lambda name: name)


def reference(errs: Errors, at: Path, name: str, known: Names) -> None:
    """The name of a request, or of a request and a subrequest."""
    parts = name.split("/")
    if len(parts) > 2:
        errs.append(field.invalid(at, name, _NO_REQUEST))
        return
    for part in parts:
        checks.label(errs, at, part)
    if parts[0] not in known or (len(parts) == 2 and parts[1] not in known[parts[0]]):
        errs.append(field.invalid(at, name, _NO_REQUEST))


def opaque(errs: Errors, at: Path, config: OpaqueDeviceConfiguration | None) -> None:
    """Configuration for a driver."""
    where = at.child("opaque")
    if config is None:
        errs.append(field.required(where))
        return
    checks.driver(errs, where.child("driver"), config.driver)
    at = where.child("parameters")
    checks.json_object(errs, at, config.parameters, json_size, _LONGEST_PARAMETERS)


def json_size(value: Any) -> int:
    """The bytes that a JSON value takes."""
    return len(gotext.json(value).encode())
