"""Types of mutatingadmissionpolicy: see the API reference, admissionregistration/v1."""

from __future__ import annotations

from trireme.api import columns
from trireme.api.admissionregistration.v1 import policy_rules
from trireme.api.admissionregistration.v1.mutatingadmissionpolicy_types import (
    MutatingAdmissionPolicy,
)
from trireme.machinery.resource import Column, Resource, spec_changed

RESOURCE = Resource(
    type=MutatingAdmissionPolicy,
    plural="mutatingadmissionpolicies",
    categories=("api-extensions",),
    namespaced=False,
    defaults=policy_rules.defaults,
    validate=policy_rules.validate_mutating,
    validate_update=policy_rules.validate_mutating,
    warnings=policy_rules.warnings,
    unconditional_update=False,
    generation=spec_changed,
    columns=(
        columns.NAME,
        Column(
            "Mutations",
            lambda obj: len(obj.spec.mutations),
            "How many expressions change.",
            type="integer",
        ),
        Column("ParamKind", policy_rules.param_kind, "The kind of the policy's parameters."),
        columns.AGE,
    ),
)
