"""MutatingAdmissionPolicy in v1beta1: the same as in v1, in which it is stored."""

from __future__ import annotations

from dataclasses import replace

from trireme.api.admissionregistration.v1 import mutatingadmissionpolicy as v1
from trireme.api.admissionregistration.v1 import mutatingadmissionpolicy_types as v1_types
from trireme.machinery.resource import Conversion
from trireme.machinery.types import constant


class MutatingAdmissionPolicy(v1_types.MutatingAdmissionPolicy):
    apiVersion: str = constant("admissionregistration.k8s.io/v1beta1")


def to_v1(obj: MutatingAdmissionPolicy) -> v1_types.MutatingAdmissionPolicy:
    """The stored form."""
    return v1_types.MutatingAdmissionPolicy(metadata=obj.metadata, spec=obj.spec)


def from_v1(obj: v1_types.MutatingAdmissionPolicy) -> MutatingAdmissionPolicy:
    """The form of this version."""
    return MutatingAdmissionPolicy(metadata=obj.metadata, spec=obj.spec)


RESOURCE = replace(
    v1.RESOURCE,
    type=MutatingAdmissionPolicy,
    stored_as=Conversion(stored=v1.RESOURCE, to_stored=to_v1, from_stored=from_v1),
    default_on=False,
)
