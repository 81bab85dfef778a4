"""What Services use of quotas: themselves, load balancers and node ports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from trireme.api.core.v1.service import Service
from trireme.domain.quota.contract import Evaluator
from trireme.domain.resource_lists import ResourceList
from trireme.machinery import quantity

_NAMES: Final = ("count/services", "services", "services.nodeports", "services.loadbalancers")


class Services(Evaluator):
    """Node ports are counted as asked for: they are not allocated yet when a Service is new."""

    group_resource = "services"

    def names(self, limited: Iterable[str]) -> list[str]:
        return [name for name in limited if name in _NAMES]

    def handles(self, operation: str, subresource: str, new: Any, old: Any) -> bool:
        return not subresource and operation in ("CREATE", "UPDATE")

    def usage(self, obj: Any, now: float) -> ResourceList:
        service: Service = obj
        spec = service.spec
        ports = 0
        if spec.type == "NodePort":
            ports = len(spec.ports)
        elif spec.type == "LoadBalancer":
            allocated = spec.allocateLoadBalancerNodePorts is not False
            ports = sum(allocated or bool(port.nodePort) for port in spec.ports)
        balancers = int(spec.type == "LoadBalancer")
        return dict(zip(_NAMES, map(quantity.of, (1, 1, ports, balancers)), strict=True))


def counted_type(service: Service) -> str:
    """The type, if it uses more than a Service."""
    return service.spec.type if service.spec.type in ("NodePort", "LoadBalancer") else ""
