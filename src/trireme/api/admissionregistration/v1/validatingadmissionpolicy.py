"""Types of validatingadmissionpolicy: see the API reference, admissionregistration/v1."""

from __future__ import annotations

from trireme.api import columns, metadata
from trireme.api.admissionregistration.v1 import policy_rules
from trireme.api.admissionregistration.v1.validatingadmissionpolicy_types import (
    ValidatingAdmissionPolicy,
)
from trireme.machinery.resource import Column, Resource, spec_changed, status

RESOURCE = Resource(
    type=ValidatingAdmissionPolicy,
    plural="validatingadmissionpolicies",
    categories=("api-extensions",),
    namespaced=False,
    subresources=(status(),),
    reset_fields={"status": ("metadata", "spec")},
    defaults=policy_rules.defaults,
    validate=policy_rules.validate_validating,
    validate_update=policy_rules.validate_validating,
    prepare_status=metadata.prepare_status,
    validate_status=policy_rules.validate_status,
    warnings=policy_rules.warnings,
    unconditional_update=False,
    generation=spec_changed,
    columns=(
        columns.NAME,
        Column(
            "Validations",
            lambda obj: len(obj.spec.validations),
            "How many expressions judge.",
            type="integer",
        ),
        Column("ParamKind", policy_rules.param_kind, "The kind of the policy's parameters."),
        columns.AGE,
    ),
)
