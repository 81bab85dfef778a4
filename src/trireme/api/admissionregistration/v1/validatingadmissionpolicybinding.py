"""Types of validatingadmissionpolicybinding: see the API reference, admissionregistration/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.admissionregistration.v1 import binding_rules
from trireme.api.admissionregistration.v1.matching import MatchResources, ParamRef
from trireme.machinery import meta
from trireme.machinery.resource import Resource, spec_changed
from trireme.machinery.types import Enum, ListSet, Required, Struct, always, constant

ValidationAction = Annotated[str, Enum(("Audit", "Deny", "Warn"))]


class ValidatingAdmissionPolicyBindingSpec(Struct):
    policyName: Annotated[str, Required()] = ""
    paramRef: ParamRef | None = None
    matchResources: MatchResources | None = None
    validationActions: Annotated[list[ValidationAction], Required(), ListSet()] = []


class ValidatingAdmissionPolicyBinding(Struct):
    kind: str = constant("ValidatingAdmissionPolicyBinding")
    apiVersion: str = constant("admissionregistration.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[ValidatingAdmissionPolicyBindingSpec, Required()] = always(
        ValidatingAdmissionPolicyBindingSpec
    )


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
    row=binding_rules.row,
)
