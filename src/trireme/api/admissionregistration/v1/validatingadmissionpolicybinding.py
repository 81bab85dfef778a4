"""Types of validatingadmissionpolicybinding: see the API reference, admissionregistration/v1."""

from __future__ import annotations

from trireme.api.admissionregistration.v1 import binding_rules
from trireme.api.admissionregistration.v1.validatingadmissionpolicybinding_types import (
    ValidatingAdmissionPolicyBinding,
)
from trireme.machinery.resource import Resource, spec_changed

RESOURCE = Resource(
    type=ValidatingAdmissionPolicyBinding,
    plural="validatingadmissionpolicybindings",
    categories=("api-extensions",),
    namespaced=False,
    defaults=binding_rules.defaults,
    validate=binding_rules.validate_validating,
    validate_update=binding_rules.validate_validating,
    warnings=binding_rules.warnings,
    unconditional_update=False,
    generation=spec_changed,
    columns=binding_rules.COLUMNS,
)
