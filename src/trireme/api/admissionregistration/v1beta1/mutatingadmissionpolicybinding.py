"""MutatingAdmissionPolicyBinding in v1beta1: the same as in v1, in which it is stored."""

from __future__ import annotations

from trireme.api.admissionregistration.v1 import mutatingadmissionpolicybinding as v1
from trireme.api.admissionregistration.v1 import mutatingadmissionpolicybinding_types as v1_types
from trireme.machinery.resource import alias
from trireme.machinery.types import constant


class MutatingAdmissionPolicyBinding(v1_types.MutatingAdmissionPolicyBinding):
    apiVersion: str = constant("admissionregistration.k8s.io/v1beta1")


RESOURCE = alias(v1.RESOURCE, MutatingAdmissionPolicyBinding)
