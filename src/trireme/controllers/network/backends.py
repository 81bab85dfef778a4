"""Which pods are endpoints of a Service, at which addresses and ports. Pure.

In: Services, pods. Out: values. Called by the planners of EndpointSlices and Endpoints, and by
``changes``. Upstream: staging/src/k8s.io/endpointslice;
https://kubernetes.io/docs/concepts/services-networking/service/.
"""

from __future__ import annotations

import ipaddress

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.service import Service, ServicePort
from trireme.domain import pods

LABEL_HEADLESS = "service.kubernetes.io/headless"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
ZONE = "topology.kubernetes.io/zone"


def has_backends(service: Service) -> bool:
    """Whether controllers make its endpoints: not without a selector, nor for an ExternalName."""
    return bool(service.spec.selector) and service.spec.type != "ExternalName"


def is_headless(service: Service) -> bool:
    """Whether it has no cluster IP."""
    return service.spec.clusterIP in ("", "None")


def selects(service: Service, pod: Pod) -> bool:
    """Whether the pod has all labels of the selector."""
    return has_backends(service) and service.spec.selector.items() <= pod.metadata.labels.items()


def answers(pod: Pod) -> bool:
    """Whether it may be an endpoint: it has an address and has not finished."""
    return bool(pod.status.podIP or pod.status.podIPs) and not pods.is_finished(pod)


def families(service: Service) -> list[str]:
    """IPv4, IPv6 or both."""
    found = [family for family in service.spec.ipFamilies if family]
    if found:
        return found
    if ":" in service.spec.clusterIP:
        return ["IPv6"]
    return ["IPv4"] if not is_headless(service) else ["IPv4", "IPv6"]


def addresses(pod: Pod, family: str) -> list[str]:
    """The pod's addresses of a family, in canonical form."""
    texts = [item.ip for item in pod.status.podIPs] or [pod.status.podIP]
    found = [ipaddress.ip_address(text) for text in texts if text]
    version = 6 if family == "IPv6" else 4
    return [str(address) for address in found if address.version == version]


def port_number(pod: Pod, port: ServicePort) -> int | None:
    """The pod's port for one of the Service; None when it has none of that name."""
    target = port.targetPort
    if isinstance(target, int):
        return target
    sidecars = [item for item in pod.spec.initContainers if item.restartPolicy == "Always"]
    for container in (*pod.spec.containers, *sidecars):
        for own in container.ports:
            if own.name == target and own.protocol == port.protocol:
                return own.containerPort
    return None


def hostname(pod: Pod, service: Service) -> str:
    """The name under which DNS knows this endpoint; "" for none."""
    same = pod.spec.subdomain == service.metadata.name
    return pod.spec.hostname if same else ""
