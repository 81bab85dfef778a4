"""Types of spec: see the API reference, core/v1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from trireme.api.core.v1.pod.container import Container, EphemeralContainer
from trireme.api.core.v1.pod.resources import ResourceRequirements
from trireme.api.core.v1.pod.scheduling import (
    Affinity,
    PodSchedulingGate,
    PodSchedulingGroup,
    TopologySpreadConstraint,
)
from trireme.api.core.v1.pod.security import PodSecurityContext
from trireme.api.core.v1.pod.volumes import Volume
from trireme.api.core.v1.references import LocalObjectReference
from trireme.api.core.v1.selection import Toleration
from trireme.machinery.types import (
    Atomic,
    Default,
    Enum,
    Int32,
    Int64,
    Merge,
    Quantity,
    Required,
    RetainKeys,
    Struct,
    always,
    listmap,
)

RestartPolicy = Annotated[str, Enum(("Always", "OnFailure", "Never"))]
DNSPolicy = Annotated[str, Enum(("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"))]
PreemptionPolicy = Annotated[str, Enum(("PreemptLowerPriority", "Never"))]


class HostAlias(Struct):
    ip: Annotated[str, Required()] = always(str)
    hostnames: Annotated[list[str], Atomic()] = []


class PodDNSConfigOption(Struct):
    name: str = ""
    value: str | None = None


class PodDNSConfig(Struct):
    nameservers: Annotated[list[str], Atomic()] = []
    searches: Annotated[list[str], Atomic()] = []
    options: Annotated[list[PodDNSConfigOption], Atomic()] = []


class PodOS(Struct):
    name: Annotated[str, Required()] = always(str)


class PodReadinessGate(Struct):
    conditionType: Annotated[str, Required()] = always(str)


class PodResourceClaim(Struct):
    name: Annotated[str, Required()] = always(str)
    resourceClaimName: str | None = None
    resourceClaimTemplateName: str | None = None


class PodSpec(Struct):
    volumes: Annotated[list[Volume], listmap("name"), Merge("name"), RetainKeys()] = []
    initContainers: Annotated[list[Container], listmap("name"), Merge("name")] = []
    containers: Annotated[list[Container], Required(), listmap("name"), Merge("name")] = always(
        list
    )
    ephemeralContainers: Annotated[list[EphemeralContainer], listmap("name"), Merge("name")] = []
    restartPolicy: Annotated[RestartPolicy, Default("Always")] = ""
    terminationGracePeriodSeconds: Annotated[Int64 | None, Default(30)] = None
    activeDeadlineSeconds: Int64 | None = None
    dnsPolicy: Annotated[DNSPolicy, Default("ClusterFirst")] = ""
    nodeSelector: Annotated[dict[str, str], Atomic()] = {}
    serviceAccountName: str = ""
    serviceAccount: str = ""
    automountServiceAccountToken: bool | None = None
    nodeName: str = ""
    hostNetwork: bool = False
    hostPID: bool = False
    hostIPC: bool = False
    shareProcessNamespace: bool | None = None
    securityContext: PodSecurityContext | None = None
    imagePullSecrets: Annotated[list[LocalObjectReference], listmap("name"), Merge("name")] = []
    hostname: str = ""
    subdomain: str = ""
    affinity: Affinity | None = None
    schedulerName: Annotated[str, Default("default-scheduler")] = ""
    tolerations: Annotated[list[Toleration], Atomic()] = []
    hostAliases: Annotated[list[HostAlias], listmap("ip"), Merge("ip")] = []
    priorityClassName: str = ""
    priority: Int32 | None = None
    dnsConfig: PodDNSConfig | None = None
    readinessGates: Annotated[list[PodReadinessGate], Atomic()] = []
    runtimeClassName: str | None = None
    enableServiceLinks: bool | None = None
    preemptionPolicy: PreemptionPolicy | None = None
    overhead: dict[str, Quantity] = {}
    topologySpreadConstraints: Annotated[
        list[TopologySpreadConstraint],
        listmap("topologyKey", "whenUnsatisfiable"),
        Merge("topologyKey"),
    ] = []
    setHostnameAsFQDN: bool | None = None
    os: PodOS | None = None
    hostUsers: bool | None = None
    schedulingGates: Annotated[list[PodSchedulingGate], listmap("name"), Merge("name")] = []
    resourceClaims: Annotated[
        list[PodResourceClaim], listmap("name"), Merge("name"), RetainKeys()
    ] = []
    resources: ResourceRequirements | None = None
    hostnameOverride: str | None = None
    schedulingGroup: PodSchedulingGroup | None = None


def every_container(spec: PodSpec) -> Iterator[Container]:
    """The containers of all three sorts."""
    yield from spec.initContainers
    yield from spec.containers
    yield from spec.ephemeralContainers
