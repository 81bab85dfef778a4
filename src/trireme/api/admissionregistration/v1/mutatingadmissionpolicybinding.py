"""Types of mutatingadmissionpolicybinding: see the API reference, admissionregistration/v1."""

from __future__ import annotations

from trireme.api.admissionregistration.v1 import binding_rules
from trireme.api.admissionregistration.v1.mutatingadmissionpolicybinding_types import (
    MutatingAdmissionPolicyBinding,
)
from trireme.machinery.resource import Resource, spec_changed

RESOURCE = Resource(
    type=MutatingAdmissionPolicyBinding,
    plural="mutatingadmissionpolicybindings",
    categories=("api-extensions",),
    namespaced=False,
    defaults=binding_rules.defaults,
    validate=binding_rules.validate_mutating,
    validate_update=binding_rules.validate_mutating,
    warnings=binding_rules.warnings,
    unconditional_update=False,
    generation=spec_changed,
    columns=binding_rules.COLUMNS,
)
