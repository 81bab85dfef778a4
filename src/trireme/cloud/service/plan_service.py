"""What a Service's load balancer needs. Pure.

Upstream: k8s.io/cloud-provider/controllers/service; KEP-3458 (the set of nodes is stable: readiness
is the load balancer's own concern).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from trireme.api.core.v1.loadbalancer import LoadBalancerStatus
from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.service import Service
from trireme.cloud.taints import TO_BE_DELETED

FINALIZER: Final = "service.kubernetes.io/load-balancer-cleanup"
EXCLUDED: Final = "node.kubernetes.io/exclude-from-external-load-balancers"
MAX_NAMES: Final = 20
# As Go's ParseBool reads them.
_FALSE: Final = ("0", "f", "F", "false", "FALSE", "False")


def wants_load_balancer(service: Service) -> bool:
    """A class means that somebody else balances its load."""
    return service.spec.type == "LoadBalancer" and service.spec.loadBalancerClass is None


def needs_cleanup(service: Service) -> bool:
    """It has a load balancer that is to go."""
    if FINALIZER not in service.metadata.finalizers:
        return False
    return service.metadata.deletionTimestamp is not None or service.spec.type != "LoadBalancer"


def needs_update(old: Service, new: Service) -> bool:
    """Whether the change is one for the load balancer."""
    if wants_load_balancer(old) != wants_load_balancer(new):
        return True
    return wants_load_balancer(new) and _of_balancer(old) != _of_balancer(new)


def _of_balancer(service: Service) -> tuple[Any, ...]:
    spec = service.spec
    ports = [(port.name, port.protocol, port.port, port.nodePort) for port in spec.ports]
    return (
        service.metadata.uid,
        service.metadata.annotations,
        ports,
        spec.loadBalancerSourceRanges,
        spec.loadBalancerIP,
        spec.sessionAffinity,
        spec.sessionAffinityConfig,
        spec.externalIPs,
        spec.externalTrafficPolicy,
        spec.healthCheckNodePort,
        len(spec.ipFamilies),
    )


def balanced_nodes(nodes: Iterable[Node]) -> list[Node]:
    """The nodes that take traffic, by name: not those that go or are excluded."""
    found = [
        node
        for node in nodes
        if node.metadata.deletionTimestamp is None
        and is_included(node)
        and not any(taint.key == TO_BE_DELETED for taint in node.spec.taints)
    ]
    return sorted(found, key=lambda node: node.metadata.name)


def is_included(node: Node) -> bool:
    """Whether its label leaves it in."""
    return node.metadata.labels.get(EXCLUDED, "false") in _FALSE


def changes_balancers(old: Node, new: Node) -> bool:
    """Whether a node's change is one for load balancers: readiness and taints alone are not."""
    return is_included(old) != is_included(new) or old.spec.providerID != new.spec.providerID


def identities(nodes: Iterable[Node]) -> dict[str, str]:
    """By name, what must change for a load balancer to be updated."""
    return {node.metadata.name: node.spec.providerID for node in nodes}


def names_for_event(nodes: Sequence[Node]) -> str:
    """The nodes' names, as upstream's message has them: no more than twenty."""
    names = sorted(node.metadata.name for node in nodes[:MAX_NAMES])
    if len(nodes) > MAX_NAMES:
        names.append(f"<{len(nodes) - MAX_NAMES} more>")
    return f"[{' '.join(names)}]"


def finalizer_change(service: Service, *, present: bool) -> Mapping[str, Any] | None:
    """A strategic merge patch of the metadata that adds or removes the finalizer."""
    if (FINALIZER in service.metadata.finalizers) == present:
        return None
    if present:
        return {"finalizers": [FINALIZER]}
    return {"$deleteFromPrimitiveList/finalizers": [FINALIZER]}


def same_status(one: LoadBalancerStatus, other: LoadBalancerStatus) -> bool:
    """Compared by what the API server stores: it fills in the mode of an address."""

    def stored(status: LoadBalancerStatus) -> list[Any]:
        return [
            (item.ip, item.hostname, item.ipMode or ("VIP" if item.ip else None), item.ports)
            for item in status.ingress
        ]

    return stored(one) == stored(other)
