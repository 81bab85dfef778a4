"""MutatingAdmissionPolicyBinding in v1beta1: the same as in v1, in which it is stored."""

from __future__ import annotations

from dataclasses import replace

from trireme.api.admissionregistration.v1 import mutatingadmissionpolicybinding as v1
from trireme.api.admissionregistration.v1 import mutatingadmissionpolicybinding_types as v1_types
from trireme.machinery.resource import Conversion
from trireme.machinery.types import constant


class MutatingAdmissionPolicyBinding(v1_types.MutatingAdmissionPolicyBinding):
    apiVersion: str = constant("admissionregistration.k8s.io/v1beta1")


def to_v1(obj: MutatingAdmissionPolicyBinding) -> v1_types.MutatingAdmissionPolicyBinding:
    """The stored form."""
    return v1_types.MutatingAdmissionPolicyBinding(metadata=obj.metadata, spec=obj.spec)


def from_v1(obj: v1_types.MutatingAdmissionPolicyBinding) -> MutatingAdmissionPolicyBinding:
    """The form of this version."""
    return MutatingAdmissionPolicyBinding(metadata=obj.metadata, spec=obj.spec)


RESOURCE = replace(
    v1.RESOURCE,
    type=MutatingAdmissionPolicyBinding,
    stored_as=Conversion(stored=v1.RESOURCE, to_stored=to_v1, from_stored=from_v1),
    default_on=False,
)
