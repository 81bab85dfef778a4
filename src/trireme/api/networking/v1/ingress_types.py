"""Types of ingress: see the API reference, networking/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.core.v1.references import TypedLocalObjectReference
from trireme.machinery import meta
from trireme.machinery.types import (
    Atomic,
    Enum,
    Int32,
    Required,
    Struct,
    always,
    atomic,
    constant,
    null,
)

PathType = Annotated[str, Enum(("Exact", "ImplementationSpecific", "Prefix"))]


@atomic
class ServiceBackendPort(Struct):
    name: str = ""
    number: Int32 = 0


class IngressServiceBackend(Struct):
    name: Annotated[str, Required()] = always(str)
    port: ServiceBackendPort = always(ServiceBackendPort)


class IngressBackend(Struct):
    service: IngressServiceBackend | None = None
    resource: TypedLocalObjectReference | None = None


class HTTPIngressPath(Struct):
    path: str = ""
    pathType: Annotated[PathType | None, Required()] = null()
    backend: Annotated[IngressBackend, Required()] = always(IngressBackend)


class HTTPIngressRuleValue(Struct):
    paths: Annotated[list[HTTPIngressPath] | None, Required(), Atomic()] = null()


class IngressRule(Struct):
    host: str = ""
    http: HTTPIngressRuleValue | None = None


class IngressTLS(Struct):
    hosts: Annotated[list[str], Atomic()] = []
    secretName: str = ""


class IngressSpec(Struct):
    ingressClassName: str | None = None
    defaultBackend: IngressBackend | None = None
    tls: Annotated[list[IngressTLS], Atomic()] = []
    rules: Annotated[list[IngressRule], Atomic()] = []


class IngressPortStatus(Struct):
    port: Annotated[Int32, Required()] = always(int)
    protocol: Annotated[str, Required()] = always(str)
    error: str | None = None


class IngressLoadBalancerIngress(Struct):
    ip: str = ""
    hostname: str = ""
    ports: Annotated[list[IngressPortStatus], Atomic()] = []


class IngressLoadBalancerStatus(Struct):
    ingress: Annotated[list[IngressLoadBalancerIngress], Atomic()] = []


class IngressStatus(Struct):
    loadBalancer: IngressLoadBalancerStatus = always(IngressLoadBalancerStatus)


class Ingress(Struct):
    kind: str = constant("Ingress")
    apiVersion: str = constant("networking.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: IngressSpec = always(IngressSpec)
    status: IngressStatus = always(IngressStatus)
