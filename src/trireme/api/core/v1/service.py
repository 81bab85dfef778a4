"""Types of service: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.core.v1.loadbalancer import LoadBalancerStatus
from trireme.api.core.v1.pod.container import Protocol
from trireme.machinery import meta
from trireme.machinery.types import (
    Atomic,
    Default,
    Enum,
    Int32,
    IntOrString,
    Merge,
    Required,
    Struct,
    always,
    constant,
    listmap,
)

ServiceType = Annotated[str, Enum(("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"))]
ServiceAffinity = Annotated[str, Enum(("ClientIP", "None"))]
ServiceExternalTrafficPolicy = Annotated[str, Enum(("Cluster", "Local"))]
IPFamily = Annotated[str, Enum(("IPv4", "IPv6", ""))]
IPFamilyPolicy = Annotated[str, Enum(("PreferDualStack", "RequireDualStack", "SingleStack"))]
TrafficDistribution = Annotated[str, Enum(("PreferClose", "PreferSameZone", "PreferSameNode"))]
ServiceInternalTrafficPolicy = Annotated[str, Enum(("Cluster", "Local"))]


class ClientIPConfig(Struct):
    timeoutSeconds: Int32 | None = None


class ServicePort(Struct):
    name: str = ""
    protocol: Annotated[Protocol, Default("TCP")] = ""
    appProtocol: str | None = None
    port: Annotated[Int32, Required()] = always(int)
    targetPort: IntOrString = 0
    nodePort: Int32 = 0


class SessionAffinityConfig(Struct):
    clientIP: ClientIPConfig | None = None


class ServiceSpec(Struct):
    ports: Annotated[list[ServicePort], listmap("port", "protocol"), Merge("port")] = []
    selector: Annotated[dict[str, str], Atomic()] = {}
    clusterIP: str = ""
    clusterIPs: Annotated[list[str], Atomic()] = []
    type: Annotated[ServiceType, Default("ClusterIP")] = ""
    externalIPs: Annotated[list[str], Atomic()] = []
    sessionAffinity: Annotated[ServiceAffinity, Default("None")] = ""
    loadBalancerIP: str = ""
    loadBalancerSourceRanges: Annotated[list[str], Atomic()] = []
    externalName: str = ""
    externalTrafficPolicy: ServiceExternalTrafficPolicy = ""
    healthCheckNodePort: Int32 = 0
    publishNotReadyAddresses: bool = False
    sessionAffinityConfig: SessionAffinityConfig | None = None
    ipFamilies: Annotated[list[IPFamily], Atomic()] = []
    ipFamilyPolicy: IPFamilyPolicy | None = None
    allocateLoadBalancerNodePorts: bool | None = None
    loadBalancerClass: str | None = None
    internalTrafficPolicy: ServiceInternalTrafficPolicy | None = None
    trafficDistribution: TrafficDistribution | None = None


class ServiceStatus(Struct):
    loadBalancer: LoadBalancerStatus = always(LoadBalancerStatus)
    conditions: Annotated[list[meta.Condition], listmap("type"), Merge("type")] = []


class Service(Struct):
    kind: str = constant("Service")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: ServiceSpec = always(ServiceSpec)
    status: ServiceStatus = always(ServiceStatus)
