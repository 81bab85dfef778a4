"""Types of mutatingadmissionpolicybinding: see the API reference, admissionregistration/v1."""

from __future__ import annotations

from trireme.api.admissionregistration.v1 import binding_rules
from trireme.api.admissionregistration.v1.matching import MatchResources, ParamRef
from trireme.machinery import meta
from trireme.machinery.resource import Resource, spec_changed
from trireme.machinery.types import Struct, always, constant


class MutatingAdmissionPolicyBindingSpec(Struct):
    policyName: str = ""
    paramRef: ParamRef | None = None
    matchResources: MatchResources | None = None


class MutatingAdmissionPolicyBinding(Struct):
    kind: str = constant("MutatingAdmissionPolicyBinding")
    apiVersion: str = constant("admissionregistration.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: MutatingAdmissionPolicyBindingSpec = always(MutatingAdmissionPolicyBindingSpec)


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
    row=binding_rules.row,
)
