"""Types of lease: see the API reference, coordination/v1."""

from __future__ import annotations

from trireme.machinery import meta
from trireme.machinery.resource import Resource
from trireme.machinery.types import Int32, MicroTime, Struct, always, constant


class LeaseSpec(Struct):
    holderIdentity: str | None = None
    leaseDurationSeconds: Int32 | None = None
    acquireTime: MicroTime | None = None
    renewTime: MicroTime | None = None
    leaseTransitions: Int32 | None = None
    strategy: str | None = None
    preferredHolder: str | None = None


class Lease(Struct):
    kind: str = constant("Lease")
    apiVersion: str = constant("coordination.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: LeaseSpec = always(LeaseSpec)


RESOURCE = Resource(
    type=Lease,
    plural="leases",
)
