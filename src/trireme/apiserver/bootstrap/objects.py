"""What every cluster has besides RBAC, as typed objects. Pure.

In: addresses. Out: fresh objects, to be created where they are missing. Called by ``run`` and
``kubernetes_service``. Upstream: pkg/controlplane/controller/{systemnamespaces,kubernetesservice},
pkg/apis/scheduling.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import msgspec

from trireme.api.core.v1.configmap import ConfigMap
from trireme.api.core.v1.endpoints import (
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSubset,
)
from trireme.api.core.v1.namespace import Namespace
from trireme.api.core.v1.service import Service, ServicePort, ServiceSpec
from trireme.api.discovery.v1 import endpointslice_types as slices
from trireme.api.networking.v1.servicecidr import (
    ServiceCIDR,
    ServiceCIDRSpec,
    ServiceCIDRStatus,
)
from trireme.api.scheduling.v1.priorityclass import PriorityClass
from trireme.apiserver.settings.authentication import RequestHeader
from trireme.machinery import time
from trireme.machinery.meta import Condition, ObjectMeta

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
SERVICE = "kubernetes"
SERVICE_PORT = 443


def namespaces() -> list[Namespace]:
    """The namespaces that are always there."""
    return [Namespace(metadata=ObjectMeta(name=name)) for name in NAMESPACES]


def priority_classes() -> list[PriorityClass]:
    """The two classes of system pods."""
    return [
        PriorityClass(
            metadata=ObjectMeta(name="system-node-critical"),
            value=2_000_001_000,
            description="Used for system critical pods that must not be moved from their current "
            "node.",
        ),
        PriorityClass(
            metadata=ObjectMeta(name="system-cluster-critical"),
            value=2_000_000_000,
            description="Used for system critical pods that must run in the cluster, but can be "
            "moved to another node if necessary.",
        ),
    ]


def authentication(clients: bytes, proxy: RequestHeader | None, authority: bytes) -> ConfigMap:
    """What servers beside this one need to know its clients by: the authority of ``clients``'
    certificates, and the front ``proxy`` with the ``authority`` of its own."""
    data = {"client-ca-file": clients.decode()} if clients else {}
    if proxy is not None:
        lists = {
            "username-headers": proxy.username_headers,
            "uid-headers": proxy.uid_headers,
            "group-headers": proxy.group_headers,
            "extra-headers-prefix": proxy.extra_prefixes,
            "allowed-names": proxy.allowed_names,
        }
        data |= {
            f"requestheader-{name}": msgspec.json.encode(values).decode()
            for name, values in lists.items()
            if values or name != "uid-headers"
        }
        data["requestheader-client-ca-file"] = authority.decode()
    return ConfigMap(
        metadata=ObjectMeta(name="extension-apiserver-authentication", namespace="kube-system"),
        data=data,
    )


def token_tracking(now: float) -> ConfigMap:
    """From which day on the use of old tokens, kept in Secrets, is noted."""
    return ConfigMap(
        metadata=ObjectMeta(
            name="kube-apiserver-legacy-service-account-token-tracking", namespace="kube-system"
        ),
        data={"since": time.format(now).partition("T")[0]},
    )


def service(cidr: str, port: int) -> Service:
    """``default/kubernetes``, on the first address of the Service range."""
    first = next(iter(ipaddress.ip_network(cidr).hosts()))
    return Service(
        metadata=ObjectMeta(
            name=SERVICE,
            namespace="default",
            labels={"component": "apiserver", "provider": "kubernetes"},
        ),
        spec=ServiceSpec(
            ports=[ServicePort(name="https", protocol="TCP", port=SERVICE_PORT, targetPort=port)],
            clusterIP=str(first),
            type="ClusterIP",
            sessionAffinity="None",
            ipFamilyPolicy="SingleStack",
        ),
    )


def service_cidr(cidr: str) -> ServiceCIDR:
    """``kubernetes``: where the addresses of Services come from."""
    return ServiceCIDR(metadata=ObjectMeta(name=SERVICE), spec=ServiceCIDRSpec(cidrs=[cidr]))


def with_readiness(stored: ServiceCIDR, desired: ServiceCIDR, now: str) -> ServiceCIDR | None:
    """A copy with the condition Ready; None where it has one, or is being deleted or another's."""
    ready = next((item for item in stored.status.conditions if item.type == "Ready"), None)
    if stored.metadata.deletionTimestamp is not None or stored.spec != desired.spec:
        return None
    if ready is not None and ready.status != "Unknown":
        return None
    condition = Condition(
        type="Ready",
        status="True",
        lastTransitionTime=now,
        message="Kubernetes default Service CIDR is ready",
    )
    others = [item for item in stored.status.conditions if item.type != "Ready"]
    return ServiceCIDR(
        metadata=stored.metadata,
        spec=stored.spec,
        status=ServiceCIDRStatus(conditions=[*others, condition]),
    )


def is_reachable(address: str) -> bool:
    """Whether others can reach the address: nobody's own loopback is an endpoint."""
    parsed = ipaddress.ip_address(address)
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified)


def endpoints(addresses: Sequence[str], port: int) -> Endpoints:
    """Where the Service leads: to the API servers. The mirroring controller leaves it alone."""
    return Endpoints(
        metadata=ObjectMeta(
            name=SERVICE,
            namespace="default",
            labels={"endpointslice.kubernetes.io/skip-mirror": "true"},
        ),
        subsets=[
            EndpointSubset(
                addresses=[EndpointAddress(ip=address) for address in addresses],
                ports=[EndpointPort(name="https", port=port, protocol="TCP")],
            )
        ],
    )


def endpoint_slice(addresses: Sequence[str], port: int) -> slices.EndpointSlice:
    """The same as an EndpointSlice."""
    family = ipaddress.ip_address(addresses[0]).version
    return slices.EndpointSlice(
        metadata=ObjectMeta(
            name=SERVICE,
            namespace="default",
            labels={"kubernetes.io/service-name": SERVICE},
        ),
        addressType=f"IPv{family}",
        endpoints=[
            slices.Endpoint(addresses=[address], conditions=slices.EndpointConditions(ready=True))
            for address in addresses
        ],
        ports=[slices.EndpointPort(name="https", port=port, protocol="TCP")],
    )
