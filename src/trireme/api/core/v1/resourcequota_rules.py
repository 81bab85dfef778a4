"""Rules of resource quotas.

In: a ResourceQuota. Out: field errors. Called by ``resourcequota``. Upstream:
pkg/apis/core/validation; https://kubernetes.io/docs/concepts/policy/resource-quotas/.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from trireme.api import rules
from trireme.api.core.v1 import resource_names
from trireme.api.core.v1.resourcequota_types import ResourceQuota, ResourceQuotaSpec
from trireme.api.core.v1.selection import ScopedResourceSelectorRequirement
from trireme.api.rules import Errors
from trireme.machinery import field, quantity
from trireme.machinery.field import Path

_SPEC: Final = field.path("spec")
_COMPUTE: Final = frozenset(
    ("cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory")
)
_PODS: Final = _COMPUTE | {"pods"}
# What each scope may be applied to.
_SCOPES: Final = {
    "Terminating": _PODS,
    "NotTerminating": _PODS,
    "BestEffort": frozenset({"pods"}),
    "NotBestEffort": _PODS,
    "PriorityClass": _PODS,
    "CrossNamespacePodAffinity": _PODS,
    "VolumeAttributesClass": frozenset({"persistentvolumeclaims", "requests.storage"}),
}
# Scopes that take no values.
_PLAIN: Final = frozenset(_SCOPES) - {"PriorityClass", "VolumeAttributesClass"}
_CONFLICTS: Final = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})


def validate(new: ResourceQuota) -> Errors:
    """Names, quantities and scopes."""
    errs: Errors = []
    spec = new.spec
    _quantities(errs, _SPEC.child("hard"), spec.hard)
    if spec.scopes:
        _scopes(errs, spec)
    if spec.scopeSelector is not None:
        _selector(errs, spec, spec.scopeSelector.matchExpressions)
    return errs


def validate_update(new: ResourceQuota, old: ResourceQuota) -> Errors:
    """The scopes stay."""
    errs = validate(new)
    if {*new.spec.scopes} != {*old.spec.scopes}:
        where = _SPEC.child("scopes")
        errs.append(field.invalid(where, new.spec.scopes or None, rules.IMMUTABLE))
    return errs


def validate_status(new: ResourceQuota, _old: ResourceQuota) -> Errors:
    """Names and quantities."""
    errs: Errors = []
    at = field.path("status")
    _quantities(errs, at.child("hard"), new.status.hard)
    _quantities(errs, at.child("used"), new.status.used)
    return errs


def _quantities(errs: Errors, at: Path, quantities: dict[str, str]) -> None:
    for name, text in quantities.items():
        here = at.key(name)
        messages = resource_names.name_errors(name)
        rules.add(errs, here, name, messages)
        if "/" not in name and not resource_names.is_of_quotas(name):
            errs.append(field.invalid(here, name, "must be a standard resource for quota"))
        value = quantity.parse(text)
        if value.nanos < 0:
            errs.append(field.invalid(here, text, rules.NOT_NEGATIVE))
        if value.milli_value() % 1000 and resource_names.is_integer(name):
            errs.append(field.invalid(here, text, "must be an integer"))


def _mismatched(spec: ResourceQuotaSpec, scope: str) -> int:
    """How many resources the scope does not apply to."""
    if scope not in _SCOPES:
        return 0
    named = (name for name in spec.hard if resource_names.is_of_quotas(name))
    return sum(name not in _SCOPES[scope] for name in named)


def _scopes(errs: Errors, spec: ResourceQuotaSpec) -> None:
    at = _SPEC.child("scopes")
    for scope in spec.scopes:
        if scope not in _SCOPES:
            errs.append(field.invalid(at, spec.scopes, "unsupported scope"))
        detail = "unsupported scope applied to resource"
        errs += [field.invalid(at, spec.scopes, detail)] * _mismatched(spec, scope)
    _conflicts(errs, spec, at, spec.scopes)


def _conflicts(errs: Errors, spec: ResourceQuotaSpec, at: Path, scopes: Iterable[str]) -> None:
    named = {*scopes}
    for pair in _CONFLICTS:
        if pair <= named:
            errs.append(field.invalid(at, spec.scopes or None, "conflicting scopes"))


def _selector(
    errs: Errors, spec: ResourceQuotaSpec, items: list[ScopedResourceSelectorRequirement]
) -> None:
    at = _SPEC.child("scopeSelector", "matchExpressions")
    for item in items:
        if item.scopeName not in _SCOPES:
            errs.append(field.invalid(at.child("scopeName"), item.scopeName, "unsupported scope"))
        detail = "unsupported scope applied to resource"
        errs += [field.invalid(at, spec.scopeSelector, detail)] * _mismatched(spec, item.scopeName)
        if item.scopeName in _PLAIN and item.operator != "Exists":
            detail = (
                "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, "
                "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
                "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
            )
            errs.append(field.invalid(at.child("operator"), item.operator, detail))
        _values(errs, at, item)
    _conflicts(errs, spec, at, [item.scopeName for item in items])


def _values(errs: Errors, at: Path, item: ScopedResourceSelectorRequirement) -> None:
    where = at.child("values")
    if item.operator in ("In", "NotIn"):
        if not item.values:
            detail = (
                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            )
            errs.append(field.required(where, detail))
    elif item.operator in ("Exists", "DoesNotExist"):
        if item.values:
            detail = (
                "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            )
            errs.append(field.invalid(where, item.values, detail))
    else:
        detail = "not a valid selector operator"
        errs.append(field.invalid(at.child("operator"), item.operator, detail))
