"""LeaseCandidate in coordination.k8s.io/v1alpha2: the same as in v1beta1, in which it is stored."""

from __future__ import annotations

from trireme.api.coordination.v1beta1 import leasecandidate as v1beta1
from trireme.machinery.resource import alias
from trireme.machinery.types import constant


class LeaseCandidate(v1beta1.LeaseCandidate):
    apiVersion: str = constant("coordination.k8s.io/v1alpha2")


RESOURCE = alias(v1beta1.RESOURCE, LeaseCandidate, deprecated="v1.35+, unavailable in v1.38+")
