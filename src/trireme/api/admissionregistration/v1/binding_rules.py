"""Rules of the bindings of admission policies.

Called by: the two kinds. Upstream: pkg/apis/admissionregistration/validation.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from trireme.api import columns, rules
from trireme.api.admissionregistration.v1 import match_rules, matching
from trireme.api.admissionregistration.v1.mutatingadmissionpolicybinding_types import (
    MutatingAdmissionPolicyBinding,
)
from trireme.api.admissionregistration.v1.validatingadmissionpolicybinding_types import (
    ValidatingAdmissionPolicyBinding,
)
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.meta import LabelSelector
from trireme.machinery.resource import Column

Binding: TypeAlias = MutatingAdmissionPolicyBinding | ValidatingAdmissionPolicyBinding

_ACTIONS: Final = ("Audit", "Deny", "Warn")
_SPEC: Final = field.path("spec")


def defaults(obj: Binding) -> None:
    """Selectors that are left out select everything."""
    matching.default_resources(obj.spec.matchResources)


def warnings(new: Binding, _old: Binding | None) -> list[str]:
    """Names reserved for static configuration files."""
    return match_rules.warn_static(new.metadata.name)


def _params(obj: Binding) -> str:
    ref = obj.spec.paramRef
    if ref is not None and ref.name:
        return f"{ref.namespace or '*'}/{ref.name}"
    if ref is not None and ref.selector is not None:
        return _go(ref.selector)
    return columns.UNSET


def _go(selector: LabelSelector) -> str:
    """A selector as Go's generated ``String`` has it."""
    labels = "".join(f"{key}: {value}," for key, value in sorted(selector.matchLabels.items()))
    expected = "".join(
        f"LabelSelectorRequirement{{Key:{item.key},Operator:{item.operator},"
        f"Values:[{' '.join(item.values)}],}},"
        for item in selector.matchExpressions
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{expected}}},}}"
    )


def validate_validating(
    new: ValidatingAdmissionPolicyBinding, _old: ValidatingAdmissionPolicyBinding | None = None
) -> Errors:
    """What is bound, and what follows from a violation."""
    errs = _common(new)
    actions, at = new.spec.validationActions, _SPEC.child("validationActions")
    used: set[str] = set()
    for position, action in enumerate(actions):
        if action not in _ACTIONS:
            errs.append(field.not_supported(at.index(position), action, _ACTIONS))
        if action in used:
            errs.append(field.duplicate(at.index(position), action))
        used.add(action)
    if {"Deny", "Warn"} <= used:
        detail = (
            "must not contain both Deny and Warn (repeating the same validation failure "
            "information in the API response and headers serves no purpose)"
        )
        errs.append(field.invalid(at, actions, detail))
    if not actions:
        errs.append(field.required(at, "at least one validation action is required"))
    return errs


def validate_mutating(
    new: MutatingAdmissionPolicyBinding, _old: MutatingAdmissionPolicyBinding | None = None
) -> Errors:
    """What is bound."""
    errs = _common(new)
    if new.spec.matchResources is not None:
        at = _SPEC.child("matchResources")
        match_rules.mutating_operations(errs, at, new.spec.matchResources)
    return errs


def _common(new: Binding) -> Errors:
    errs: Errors = []
    spec = new.spec
    rules.required_syntax(errs, _SPEC, "policyName", spec.policyName, names.is_dns1123_subdomain)
    match_rules.param_ref(errs, _SPEC.child("paramRef"), spec.paramRef)
    match_rules.match_resources(errs, _SPEC.child("matchResources"), spec.matchResources)
    return errs


COLUMNS = (
    columns.NAME,
    Column("PolicyName", "spec.policyName", "The policy that it binds."),
    Column("ParamRef", _params, "The object that has the parameters."),
    columns.AGE,
)
