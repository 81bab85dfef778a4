"""The add-ons of a local cluster: cluster DNS and its RBAC, the default StorageClass.

DNS runs on each node; its Service leads to the node's own server (internalTrafficPolicy Local), so
that a lost node does not affect name resolution on others.
"""

from __future__ import annotations

from trireme.api.core.v1.service import Service, ServicePort, ServiceSpec
from trireme.api.discovery.v1.endpointslice_types import (
    Endpoint,
    EndpointConditions,
    EndpointPort,
    EndpointSlice,
)
from trireme.api.rbac.v1.clusterrole import ClusterRole
from trireme.api.rbac.v1.clusterrolebinding_types import ClusterRoleBinding
from trireme.api.rbac.v1.rules import PolicyRule, RoleRef, Subject
from trireme.client.client import Client
from trireme.cluster import autoscaler_access, local_path
from trireme.cluster.settings import Settings
from trireme.machinery import errors
from trireme.machinery.meta import ObjectMeta

NAMESPACE = "kube-system"
DNS = "kube-dns"
DNS_ROLE = "system:coredns"


async def apply(client: Client, cluster: Settings) -> None:
    """Create missing objects; existing ones are left unchanged."""
    if not cluster.nodes:
        return
    for obj in (
        metrics_reader(),
        dns_role(),
        dns_binding(),
        dns_service(cluster),
        dns_endpoints(cluster),
        *local_path.objects(),
        *(autoscaler_access.objects() if cluster.scales else ()),
    ):
        try:
            await client.create(obj)
        except errors.ApiError as error:
            if not errors.is_already_exists(error) and not _is_taken(error):
                raise


def metrics_reader() -> ClusterRole:
    """Who may view a namespace may see what its pods use, as with upstream's metrics server."""
    parts = ("view", "edit", "admin")
    labels = {f"rbac.authorization.k8s.io/aggregate-to-{role}": "true" for role in parts}
    rule = PolicyRule(
        apiGroups=["metrics.k8s.io"], resources=["pods", "nodes"], verbs=["get", "list", "watch"]
    )
    return ClusterRole(
        metadata=ObjectMeta(name="system:aggregated-metrics-reader", labels=labels), rules=[rule]
    )


def dns_role() -> ClusterRole:
    """The role of a DNS server: read Services, EndpointSlices, namespaces."""
    read = ["list", "watch"]
    return ClusterRole(
        metadata=ObjectMeta(name=DNS_ROLE),
        rules=[
            PolicyRule(
                apiGroups=[""],
                resources=["endpoints", "services", "pods", "namespaces"],
                verbs=read,
            ),
            PolicyRule(apiGroups=["discovery.k8s.io"], resources=["endpointslices"], verbs=read),
        ],
    )


def dns_binding() -> ClusterRoleBinding:
    """The DNS servers of all nodes have one identity."""
    return ClusterRoleBinding(
        metadata=ObjectMeta(name=DNS_ROLE),
        roleRef=RoleRef(apiGroup="rbac.authorization.k8s.io", kind="ClusterRole", name=DNS_ROLE),
        subjects=[Subject(kind="ServiceAccount", name="coredns", namespace=NAMESPACE)],
    )


def dns_service(cluster: Settings) -> Service:
    """The Service at the address that pods' resolv.conf names."""
    return Service(
        metadata=ObjectMeta(
            name=DNS,
            namespace=NAMESPACE,
            labels={"k8s-app": DNS, "kubernetes.io/name": "CoreDNS"},
        ),
        spec=ServiceSpec(
            clusterIP=cluster.dns_address,
            internalTrafficPolicy="Local",
            ports=[
                ServicePort(name="dns", protocol="UDP", port=53, targetPort=53),
                ServicePort(name="dns-tcp", protocol="TCP", port=53, targetPort=53),
            ],
        ),
    )


def dns_endpoints(cluster: Settings) -> EndpointSlice:
    """One endpoint per node: the DNS server that runs there."""
    return EndpointSlice(
        metadata=ObjectMeta(
            name=f"{DNS}-nodes", namespace=NAMESPACE, labels={"kubernetes.io/service-name": DNS}
        ),
        addressType="IPv4",
        endpoints=[
            Endpoint(
                addresses=[node.ip],
                nodeName=node.name,
                conditions=EndpointConditions(ready=True, serving=True, terminating=False),
            )
            for node in cluster.nodes
        ],
        ports=[
            EndpointPort(name="dns", protocol="UDP", port=53),
            EndpointPort(name="dns-tcp", protocol="TCP", port=53),
        ],
    )


def _is_taken(error: errors.ApiError) -> bool:
    """The Service is there already: its address is refused before its name."""
    return errors.is_invalid(error) and "already allocated" in error.message
