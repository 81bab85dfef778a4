"""ServiceCIDR in networking.k8s.io/v1beta1: the same as in v1, in which it is stored."""

from __future__ import annotations

from trireme.api.networking.v1 import servicecidr as v1
from trireme.machinery import meta
from trireme.machinery.resource import Conversion, Resource, status
from trireme.machinery.types import Struct, always, constant


class ServiceCIDR(Struct):
    kind: str = constant("ServiceCIDR")
    apiVersion: str = constant("networking.k8s.io/v1beta1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: v1.ServiceCIDRSpec = always(v1.ServiceCIDRSpec)
    status: v1.ServiceCIDRStatus = always(v1.ServiceCIDRStatus)


def to_v1(obj: ServiceCIDR) -> v1.ServiceCIDR:
    """The stored form."""
    return v1.ServiceCIDR(metadata=obj.metadata, spec=obj.spec, status=obj.status)


def from_v1(obj: v1.ServiceCIDR) -> ServiceCIDR:
    """The form of this version."""
    return ServiceCIDR(metadata=obj.metadata, spec=obj.spec, status=obj.status)


RESOURCE = Resource(
    type=ServiceCIDR,
    plural="servicecidrs",
    namespaced=False,
    subresources=(status(),),
    reset_fields={"status": ("metadata", "spec")},
    columns=v1.RESOURCE.columns,
    stored_as=Conversion(stored=v1.RESOURCE, to_stored=to_v1, from_stored=from_v1),
    default_on=False,
    deprecated="networking.k8s.io/v1beta1 ServiceCIDR is deprecated in v1.34+, "
    "unavailable in v1.37+",
)
