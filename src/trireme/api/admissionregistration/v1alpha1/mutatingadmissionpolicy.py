"""MutatingAdmissionPolicy in v1alpha1: the same as in v1, in which it is stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from trireme.api.admissionregistration.v1 import mutatingadmissionpolicy as v1
from trireme.api.admissionregistration.v1 import mutatingadmissionpolicy_types as v1_types
from trireme.api.admissionregistration.v1.matching import Variable
from trireme.machinery.resource import Conversion
from trireme.machinery.types import Atomic, Granular, always, constant


class MutatingAdmissionPolicySpec(v1_types.MutatingAdmissionPolicySpec):
    # This version does not say that a variable is owned as a whole.
    variables: Annotated[list[Annotated[Variable, Granular()]], Atomic()] = []


class MutatingAdmissionPolicy(v1_types.MutatingAdmissionPolicy):
    apiVersion: str = constant("admissionregistration.k8s.io/v1alpha1")
    spec: MutatingAdmissionPolicySpec = always(MutatingAdmissionPolicySpec)


def _parts(spec: v1_types.MutatingAdmissionPolicySpec) -> dict[str, Any]:
    return {
        name: getattr(spec, name) for name in v1_types.MutatingAdmissionPolicySpec.__struct_fields__
    }


def to_v1(obj: MutatingAdmissionPolicy) -> v1_types.MutatingAdmissionPolicy:
    """The stored form."""
    spec = v1_types.MutatingAdmissionPolicySpec(**_parts(obj.spec))
    return v1_types.MutatingAdmissionPolicy(metadata=obj.metadata, spec=spec)


def from_v1(obj: v1_types.MutatingAdmissionPolicy) -> MutatingAdmissionPolicy:
    """The form of this version."""
    spec = MutatingAdmissionPolicySpec(**_parts(obj.spec))
    return MutatingAdmissionPolicy(metadata=obj.metadata, spec=spec)


RESOURCE = replace(
    v1.RESOURCE,
    type=MutatingAdmissionPolicy,
    stored_as=Conversion(stored=v1.RESOURCE, to_stored=to_v1, from_stored=from_v1),
    default_on=False,
    deprecated="v1.35+, unavailable in v1.38+",
)
