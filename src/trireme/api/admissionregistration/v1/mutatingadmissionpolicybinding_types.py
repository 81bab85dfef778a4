"""Types of MutatingAdmissionPolicyBinding: see the API reference, admissionregistration/v1."""

from __future__ import annotations

from trireme.api.admissionregistration.v1.matching import MatchResources, ParamRef
from trireme.machinery import meta
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
