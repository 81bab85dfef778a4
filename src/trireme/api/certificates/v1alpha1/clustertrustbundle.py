"""ClusterTrustBundle in v1alpha1: the same as in v1beta1, in which it is stored."""

from __future__ import annotations

from typing import Annotated

from trireme.api.certificates.v1beta1 import clustertrustbundle as v1beta1
from trireme.machinery import meta
from trireme.machinery.resource import Conversion, Resource
from trireme.machinery.types import Required, Struct, always, constant


class ClusterTrustBundle(Struct):
    kind: str = constant("ClusterTrustBundle")
    apiVersion: str = constant("certificates.k8s.io/v1alpha1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[v1beta1.ClusterTrustBundleSpec, Required()] = always(
        v1beta1.ClusterTrustBundleSpec
    )


def to_v1beta1(obj: ClusterTrustBundle) -> v1beta1.ClusterTrustBundle:
    """The stored form."""
    return v1beta1.ClusterTrustBundle(metadata=obj.metadata, spec=obj.spec)


def from_v1beta1(obj: v1beta1.ClusterTrustBundle) -> ClusterTrustBundle:
    """The form of this version."""
    return ClusterTrustBundle(metadata=obj.metadata, spec=obj.spec)


RESOURCE = Resource(
    type=ClusterTrustBundle,
    plural="clustertrustbundles",
    namespaced=False,
    unconditional_update=False,
    columns=v1beta1.RESOURCE.columns,
    selectable=v1beta1.RESOURCE.selectable,
    stored_as=Conversion(stored=v1beta1.RESOURCE, to_stored=to_v1beta1, from_stored=from_v1beta1),
    default_on=False,
    gate="ClusterTrustBundle",
    deprecated="certificates.k8s.io/v1alpha1 ClusterTrustBundle is deprecated in v1.34+, "
    "unavailable in v1.37+",
)
