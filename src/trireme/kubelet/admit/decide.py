"""Admission: whether a pod can run on this node. Pure.

In: the pod, the pods that already run on the node, the node. Out: ``None`` or the failure for the
pod's status. Called by workers when a pod is first observed. Rules: reference "Phase" (rejections),
"Other rules" (sysctls). The scheduler's cache may have been stale, so the node checks again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from trireme.api.core import v1 as core
from trireme.api.core.v1 import resource_names
from trireme.api.core.v1.pod import qos
from trireme.domain import node_match
from trireme.kubelet import podresources, podspec
from trireme.kubelet.status.compute import Failure
from trireme.machinery import quantity

NODE_AFFINITY = "NodeAffinity"
OUT_OF = "OutOf"
SAFE_SYSCTLS = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
)


class NodeView(msgspec.Struct, frozen=True):
    """``allocatable`` as texts, ``pressures``: condition types that are True."""

    name: str
    labels: Mapping[str, str]
    allocatable: Mapping[str, str]
    pressures: tuple[str, ...] = ()
    # Names, or prefixes that end in ``*``.
    unsafe_sysctls: tuple[str, ...] = ()
    shutting_down: bool = False


def decide(pod: core.Pod, others: Iterable[core.Pod], node: NodeView) -> Failure | None:
    """The first failure of ``pod``, or ``None``. ``others`` are admitted and have not ended."""
    running = list(others)
    return (
        _shutdown(node)
        or _os(pod)
        or _features(pod)
        or _sysctls(pod, node)
        or _pressure(pod, node)
        or _affinity(pod, node)
        or _resources(pod, running, node)
        or _ports(pod, running)
    )


def is_of_node(failure: Failure) -> bool:
    """Whether the failure depends on the node's labels or capacity, which may just have changed."""
    return failure.reason == NODE_AFFINITY or failure.reason.startswith(OUT_OF)


def lacking(pod: core.Pod, others: Iterable[core.Pod], node: NodeView) -> dict[str, int]:
    """How much of each resource there is too little of for ``pod``, where it alone would fit."""
    used: dict[str, int] = {}
    for other in others:
        for name, value in (*podresources.pod_requests(other).items(), ("pods", 1)):
            used[name] = used.get(name, 0) + value
    requests = {**podresources.pod_requests(pod), "pods": 1}
    missing = {
        name: requested + used.get(name, 0) - podresources.value(dict(node.allocatable), name)
        for name, requested in requests.items()
        if name in node.allocatable and requested
    }
    return {name: many for name, many in missing.items() if many > 0}


def is_shortage(failure: Failure) -> bool:
    """Whether the pod would fit if others were gone."""
    return failure.reason.startswith(OUT_OF)


def _shutdown(node: NodeView) -> Failure | None:
    if not node.shutting_down:
        return None
    return Failure("NodeShutdown", "Pod was rejected as the node is shutting down.")


def _os(pod: core.Pod) -> Failure | None:
    if pod.spec.os is not None and pod.spec.os.name != "linux":
        return Failure(
            "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"
        )
    requested = pod.spec.nodeSelector.get("kubernetes.io/os", "linux")
    if requested != "linux":
        return Failure(
            "PodOSSelectorNodeLabelDoesNotMatch",
            "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
        )
    return None


def _features(pod: core.Pod) -> Failure | None:
    """Features that this kubelet lacks are refused by name, not ignored."""
    if pod.spec.resourceClaims:
        return Failure(
            "UnexpectedAdmissionError",
            "Failed to admit pod: resourceClaims are not supported by this node",
        )
    if pod.spec.hostUsers is False:
        return Failure(
            "UnexpectedAdmissionError",
            "Failed to admit pod: user namespaces are not supported by this node",
        )
    return None


def _sysctls(pod: core.Pod, node: NodeView) -> Failure | None:
    if pod.spec.securityContext is None:
        return None
    for sysctl in pod.spec.securityContext.sysctls:
        name = sysctl.name.replace("/", ".")
        allowed = any(
            name.startswith(each[:-1]) if each.endswith("*") else name == each
            for each in node.unsafe_sysctls
        )
        if name not in SAFE_SYSCTLS and not allowed:
            return Failure("SysctlForbidden", f'forbidden sysctl: "{sysctl.name}" not allowlisted')
    return None


def _pressure(pod: core.Pod, node: NodeView) -> Failure | None:
    if not node.pressures or podspec.is_critical(pod):
        return None
    if node.pressures == ("MemoryPressure",):
        if qos.of(pod.spec) != qos.BEST_EFFORT:
            return None
        if any(
            t.key in ("", "node.kubernetes.io/memory-pressure") and t.effect in ("", "NoSchedule")
            for t in pod.spec.tolerations
        ):
            return None
    return Failure("Evicted", f"The node had condition: [{' '.join(node.pressures)}]. ")


def _affinity(pod: core.Pod, node: NodeView) -> Failure | None:
    if node_match.matches(pod.spec, node.name, node.labels):
        return None
    return Failure(
        NODE_AFFINITY,
        "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
    )


def _resources(pod: core.Pod, others: list[core.Pod], node: NodeView) -> Failure | None:
    limit = podresources.value(dict(node.allocatable), "pods")
    if limit and len(others) + 1 > limit:
        return _out_of("pods", 1, len(others), limit)
    used: dict[str, int] = {}
    for other in others:
        for name, value in podresources.pod_requests(other).items():
            used[name] = used.get(name, 0) + value
    for name, requested in sorted(podresources.pod_requests(pod).items()):
        if name not in node.allocatable:
            # An extended resource without capacity on the node belongs to the cluster or to a
            # driver, which accounts for it.
            if requested and not resource_names.is_extended(name) and name != "pods":
                return _out_of(name, requested, 0, 0)
            continue
        text = node.allocatable[name]
        capacity = (
            quantity.parse(text).milli_value() if name == "cpu" else quantity.parse(text).value()
        )
        if requested and used.get(name, 0) + requested > capacity:
            return _out_of(name, requested, used.get(name, 0), capacity)
    return None


def _out_of(name: str, requested: int, used: int, capacity: int) -> Failure:
    return Failure(
        f"{OUT_OF}{name}",
        f"Node didn't have enough resource: {name}, requested: {requested}, "
        f"used: {used}, capacity: {capacity}",
    )


def _ports(pod: core.Pod, others: list[core.Pod]) -> Failure | None:
    taken = [port for other in others for port in _host_ports(other)]
    for requested in _host_ports(pod):
        if any(_clash(requested, port) for port in taken):
            return Failure(
                "NodePorts",
                "Predicate NodePorts failed: node(s) didn't have free "
                "ports for the requested pod ports",
            )
    return None


def _host_ports(pod: core.Pod) -> list[tuple[str, str, int]]:
    containers = [c for c in pod.spec.initContainers if podspec.is_sidecar(c)]
    return [
        (port.hostIP or "0.0.0.0", port.protocol or "TCP", port.hostPort)
        for container in (*containers, *pod.spec.containers)
        for port in container.ports
        if port.hostPort
    ]


def _clash(one: tuple[str, str, int], other: tuple[str, str, int]) -> bool:
    same_address = one[0] == other[0] or "0.0.0.0" in (one[0], other[0])
    return same_address and one[1:] == other[1:]
