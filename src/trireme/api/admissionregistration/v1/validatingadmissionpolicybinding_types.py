"""Types of ValidatingAdmissionPolicyBinding: see the API reference, admissionregistration/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.admissionregistration.v1.matching import MatchResources, ParamRef
from trireme.machinery import meta
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
