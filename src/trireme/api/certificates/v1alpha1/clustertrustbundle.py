"""ClusterTrustBundle in v1alpha1: the same as in v1beta1, in which it is stored."""

from __future__ import annotations

from trireme.api.certificates.v1beta1 import clustertrustbundle as v1beta1
from trireme.machinery.resource import alias
from trireme.machinery.types import constant


class ClusterTrustBundle(v1beta1.ClusterTrustBundle):
    apiVersion: str = constant("certificates.k8s.io/v1alpha1")


RESOURCE = alias(v1beta1.RESOURCE, ClusterTrustBundle, deprecated="v1.34+, unavailable in v1.37+")
