"""What a Service is: its names, defaults, what an update clears, and how it is printed.

In: Services. Called by: the write path, server-side printing. Cluster IPs, node ports and IP
families are filled in by the API server's allocator, validation is in ``service_rules``. Upstream:
pkg/apis/core/v1 defaults, pkg/registry/core/service strategy.
"""

from __future__ import annotations

from typing import Final

from trireme.api import columns
from trireme.api.core.v1 import service_rules, service_warnings
from trireme.api.core.v1.loadbalancer import LoadBalancerStatus
from trireme.api.core.v1.service import (
    ClientIPConfig,
    Service,
    ServicePort,
    ServiceSpec,
    SessionAffinityConfig,
)
from trireme.machinery import labels, names
from trireme.machinery.resource import Column, Resource, Subresource, status

AFFINITY_SECONDS: Final = 10800


def defaults(obj: Service) -> None:
    """The defaults that depend on the type and on other fields."""
    spec = obj.spec
    if spec.sessionAffinity == "None":
        spec.sessionAffinityConfig = None
    elif spec.sessionAffinity == "ClientIP":
        config = spec.sessionAffinityConfig
        if config is None or config.clientIP is None or config.clientIP.timeoutSeconds is None:
            spec.sessionAffinityConfig = SessionAffinityConfig(
                clientIP=ClientIPConfig(timeoutSeconds=AFFINITY_SECONDS)
            )
    for port in spec.ports:
        if port.targetPort in (0, ""):
            port.targetPort = port.port
    if externally_accessible(obj) and not spec.externalTrafficPolicy:
        spec.externalTrafficPolicy = "Cluster"
    if spec.internalTrafficPolicy is None and spec.type in (
        "ClusterIP",
        "NodePort",
        "LoadBalancer",
    ):
        spec.internalTrafficPolicy = "Cluster"
    if spec.type == "LoadBalancer":
        if spec.allocateLoadBalancerNodePorts is None:
            spec.allocateLoadBalancerNodePorts = True
        for ingress in obj.status.loadBalancer.ingress:
            if ingress.ip and ingress.ipMode is None:
                ingress.ipMode = "VIP"


def prepare_create(new: Service) -> None:
    """A client that knows only ``clusterIP`` means both."""
    spec = new.spec
    if spec.clusterIP and not spec.clusterIPs:
        spec.clusterIPs = [spec.clusterIP]


def prepare_update(new: Service, old: Service) -> None:
    """Clear fields that the new type does not have, where the client did not change them.

    A field that the client changed as well stays, and validation refuses it.
    """
    spec, was = new.spec, old.spec
    _keep_allocated(new, old)
    _same_addresses(spec, was)
    if needs_cluster_ip(old) and not needs_cluster_ip(new):
        if spec.clusterIP == was.clusterIP and spec.clusterIPs == was.clusterIPs:
            spec.clusterIP, spec.clusterIPs = "", []
        if spec.ipFamilies == was.ipFamilies:
            spec.ipFamilies = []
        if spec.ipFamilyPolicy == was.ipFamilyPolicy:
            spec.ipFamilyPolicy = None
    if needs_node_ports(old) and not needs_node_ports(new):
        before = {port.nodePort for port in was.ports}
        if all(port.nodePort in before for port in spec.ports if port.nodePort):
            for port in spec.ports:
                port.nodePort = 0
    if (
        needs_health_check_port(old)
        and not needs_health_check_port(new)
        and spec.healthCheckNodePort == was.healthCheckNodePort
    ):
        spec.healthCheckNodePort = 0
    if was.type == "LoadBalancer" and spec.type != "LoadBalancer":
        if spec.allocateLoadBalancerNodePorts == was.allocateLoadBalancerNodePorts:
            spec.allocateLoadBalancerNodePorts = None
        if spec.loadBalancerClass == was.loadBalancerClass:
            spec.loadBalancerClass = None
    if (
        externally_accessible(old)
        and not externally_accessible(new)
        and spec.externalTrafficPolicy == was.externalTrafficPolicy
    ):
        spec.externalTrafficPolicy = ""
    if spec.type != "LoadBalancer":
        new.status.loadBalancer = LoadBalancerStatus()


def _keep_allocated(new: Service, old: Service) -> None:
    """Allocated values that the client left out are kept."""
    spec, was = new.spec, old.spec
    if needs_cluster_ip(old) and needs_cluster_ip(new):
        spec.clusterIP = spec.clusterIP or was.clusterIP
        spec.clusterIPs = spec.clusterIPs or list(was.clusterIPs)
    if needs_node_ports(old) and needs_node_ports(new):
        kept = {port.nodePort for port in was.ports if port.nodePort}
        kept &= {port.nodePort for port in spec.ports}
        by_name = {port.name: port.nodePort for port in was.ports}
        for port in spec.ports:
            before = by_name.get(port.name, 0)
            if not port.nodePort and before not in kept:
                port.nodePort = before
    if needs_health_check_port(old) and needs_health_check_port(new):
        spec.healthCheckNodePort = spec.healthCheckNodePort or was.healthCheckNodePort


def _same_addresses(spec: ServiceSpec, was: ServiceSpec) -> None:
    """``clusterIP`` and ``clusterIPs`` after a client changed only the former, which it knows."""
    if spec.clusterIP != was.clusterIP and spec.clusterIPs == was.clusterIPs:
        spec.clusterIPs = [spec.clusterIP] if spec.clusterIP else []


def externally_accessible(obj: Service) -> bool:
    """Whether traffic comes in from outside the cluster."""
    spec = obj.spec
    return spec.type in ("NodePort", "LoadBalancer") or (
        spec.type == "ClusterIP" and bool(spec.externalIPs)
    )


def needs_cluster_ip(obj: Service) -> bool:
    """``None`` counts as an address here."""
    return obj.spec.type != "ExternalName"


def needs_node_ports(obj: Service) -> bool:
    """Whether the type has node ports."""
    return obj.spec.type in ("NodePort", "LoadBalancer")


def needs_health_check_port(obj: Service) -> bool:
    """Whether load balancers must ask nodes if they have endpoints."""
    return obj.spec.type == "LoadBalancer" and obj.spec.externalTrafficPolicy == "Local"


def _external(obj: Service) -> str:
    spec = obj.spec
    if spec.type in ("ClusterIP", "NodePort"):
        return ",".join(spec.externalIPs) or columns.NONE
    if spec.type == "LoadBalancer":
        given = sorted({item.ip or item.hostname for item in obj.status.loadBalancer.ingress})
        return ",".join([*filter(None, given), *spec.externalIPs]) or "<pending>"
    return spec.externalName if spec.type == "ExternalName" else columns.UNKNOWN


def _port(port: ServicePort) -> str:
    node_port = f":{port.nodePort}" if port.nodePort > 0 else ""
    return f"{port.port}{node_port}/{port.protocol}"


RESOURCE = Resource(
    type=Service,
    plural="services",
    short_names=("svc",),
    categories=("all",),
    subresources=(
        Subresource(
            "proxy", ("create", "delete", "get", "patch", "update"), kind="ServiceProxyOptions"
        ),
        status(),
    ),
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=service_rules.create,
    validate_update=service_rules.update,
    validate_status=service_rules.status,
    warnings=service_warnings.service,
    status_warnings=service_warnings.status,
    name_errors=names.is_dns1123_label,
    create_on_update=True,
    returns_deleted=True,
    columns=(
        columns.NAME,
        Column("Type", "spec.type", "How the Service is reached."),
        Column(
            "Cluster-IP",
            lambda obj: obj.spec.clusterIPs[0] if obj.spec.clusterIPs else columns.NONE,
            "Its address inside the cluster.",
        ),
        Column("External-IP", _external, "Its addresses outside the cluster."),
        Column(
            "Port(s)",
            lambda obj: ",".join(map(_port, obj.spec.ports)),
            "Its ports, with the node port where there is one.",
            empty=columns.NONE,
        ),
        columns.AGE,
        columns.selector(labels.format_labels),
    ),
    selectable={
        "spec.clusterIP": lambda obj: obj.spec.clusterIP,
        "spec.type": lambda obj: obj.spec.type,
    },
)
