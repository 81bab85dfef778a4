"""MutatingAdmissionPolicyBinding in v1alpha1: the same as in v1, in which it is stored."""

from __future__ import annotations

from trireme.api.admissionregistration.v1 import binding_rules
from trireme.api.admissionregistration.v1 import mutatingadmissionpolicybinding as v1
from trireme.api.admissionregistration.v1 import mutatingadmissionpolicybinding_types as v1_types
from trireme.machinery.resource import alias
from trireme.machinery.types import constant


class MutatingAdmissionPolicyBinding(v1_types.MutatingAdmissionPolicyBinding):
    apiVersion: str = constant("admissionregistration.k8s.io/v1alpha1")


def defaults(obj: MutatingAdmissionPolicyBinding) -> None:
    """As in v1, and the action for parameters that are not found."""
    binding_rules.defaults(obj)
    ref = obj.spec.paramRef
    if ref is not None and ref.parameterNotFoundAction is None:
        ref.parameterNotFoundAction = "Deny"


RESOURCE = alias(
    v1.RESOURCE,
    MutatingAdmissionPolicyBinding,
    defaults=defaults,
    deprecated="v1.35+, unavailable in v1.38+",
)
