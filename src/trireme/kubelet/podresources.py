"""Requests and limits of a pod, in the units of cgroups. Pure.

In: a Pod. Out: its resource sums, shares, quota and OOM score. Called by cgroups, admit,
sync/compute, volumes. Rules: reference "QoS, OOM, cgroups"; KEP-2837 (pod-level resources).
CPU is in thousandths of a core, memory in bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from trireme.api.core import v1 as core
from trireme.api.core.v1.pod import qos
from trireme.kubelet import podspec
from trireme.machinery import quantity

CPU_PERIOD = 100_000
MIN_SHARES = 2
MAX_SHARES = 262_144
MIN_QUOTA = 1_000
MIN_CPU_LIMIT = 10  # thousandths: what the smallest quota gives


def value(resources: dict[str, str], name: str) -> int:
    """The value of one resource in its unit (thousandths for cpu, else whole), 0 when absent."""
    text = resources.get(name)
    if not text:
        return 0
    parsed = quantity.parse(text)
    return parsed.milli_value() if name == "cpu" else parsed.value()


def text(name: str, amount: int) -> str:
    """An amount of ``name``, in its unit, as a quantity."""
    if name == "cpu":
        return quantity.canonical(f"{amount}m")
    return str(quantity.of(amount, quantity.BINARY_SI)) if name == "memory" else str(amount)


def texts(quantities: dict[str, int]) -> dict[str, str]:
    return {name: text(name, amount) for name, amount in quantities.items()}


def pod_requests(pod: core.Pod) -> dict[str, int]:
    """The effective requests: the maximum of any point in time, plus overhead."""
    total = _peak(pod, lambda container: container.resources.requests)
    if pod.spec.resources is not None:
        total.update(
            {name: value(pod.spec.resources.requests, name) for name in pod.spec.resources.requests}
        )
    return _plus(total, pod.spec.overhead)


def pod_limits(pod: core.Pod) -> dict[str, int]:
    """Limits summed as ``pod_requests`` sums requests."""
    total = _peak(pod, lambda container: container.resources.limits)
    if pod.spec.resources is not None:
        total.update(
            {name: value(pod.spec.resources.limits, name) for name in pod.spec.resources.limits}
        )
    overhead = {name: value for name, value in pod.spec.overhead.items() if total.get(name)}
    return _plus(total, overhead)


def container_limits(pod: core.Pod, container: core.Container) -> dict[str, str]:
    """The container's limits, and the pod's for resources that the container does not limit."""
    own = container.resources.limits
    of_pod = pod.spec.resources.limits if pod.spec.resources is not None else {}
    return {**own, **{name: text for name, text in of_pod.items() if not value(own, name)}}


def all_declare(pod: core.Pod, name: str) -> bool:
    """Whether the pod as a whole has a limit: every container, or the pod itself, declares it.

    While an init container runs, the sidecars before it do, too, and their limits count for it.
    """
    if pod.spec.resources is not None and value(pod.spec.resources.limits, name):
        return True
    sidecars, declared = 0, [value(c.resources.limits, name) for c in pod.spec.containers]
    for container in pod.spec.initContainers:
        own = value(container.resources.limits, name)
        declared.append(sidecars + own)
        sidecars += own if podspec.is_sidecar(container) else 0
    return all(declared)


def cpu_shares(milli: int) -> int:
    return max(MIN_SHARES, min(MAX_SHARES, milli * 1024 // 1000))


def cpu_weight(shares: int) -> int:
    """cgroup v2's weight (1-10000) for cgroup v1's shares (2-262144)."""
    return 1 + (shares - 2) * 9999 // 262_142


def shares_of_weight(weight: int) -> int:
    """cgroup v1's shares for cgroup v2's weight; the inverse of ``cpu_weight``, rounded."""
    return 2 + (weight - 1) * 262_142 // 9999


def milli_of_shares(shares: int) -> int:
    return -(-shares * 1000 // 1024)


def milli_of_quota(quota: int, period: int) -> int:
    """0 means no limit."""
    return quota * 1000 // period if quota > 0 and period else 0


def cpu_quota(milli: int, period: int = CPU_PERIOD) -> int:
    """Microseconds of CPU time per period; 0 means no limit."""
    return max(MIN_QUOTA, milli * period // 1000) if milli > 0 else 0


def oom_score_adj(pod: core.Pod, container: core.Container, memory_capacity: int) -> int:
    """The container's oom_score_adj, -997 to 1000; the higher, the sooner it is OOM-killed."""
    if pod.spec.priority is not None and pod.spec.priority >= 2_000_001_000:
        return -997
    of_class = qos.of(pod.spec)
    if of_class == qos.GUARANTEED:
        return -997
    if of_class == qos.BEST_EFFORT:
        return 1000
    request = value(container.resources.requests, "memory")
    if container in pod.spec.initContainers and podspec.is_sidecar(container):
        # A sidecar is not killed before the container with the smallest request.
        smallest = min(value(c.resources.requests, "memory") for c in pod.spec.containers)
        request = max(request, smallest)
    request += _unassigned_memory(pod)
    score = 1000 - 1000 * request // max(memory_capacity, 1)
    return max(1000 - 997, min(score, 999))


def _unassigned_memory(pod: core.Pod) -> int:
    """Each container's share of the pod-level request beyond the containers' requests."""
    if pod.spec.resources is None:
        return 0
    of_pod = value(pod.spec.resources.requests, "memory")
    if not of_pod:
        return 0
    assigned = _peak(pod, lambda container: container.resources.requests).get("memory", 0)
    return (of_pod - assigned) // (len(pod.spec.containers) + len(pod.spec.initContainers))


def _peak(pod: core.Pod, pick: Callable[[core.Container], dict[str, str]]) -> dict[str, int]:
    sidecars: dict[str, int] = {}
    init_peak: dict[str, int] = {}
    for container in pod.spec.initContainers:
        own = _values(pick(container))
        if podspec.is_sidecar(container):
            sidecars = _sum((sidecars, own))
            candidate = sidecars
        else:
            candidate = _sum((sidecars, own))
        init_peak = _most(init_peak, candidate)
    regular = _sum([sidecars, *(_values(pick(container)) for container in pod.spec.containers)])
    return _most(regular, init_peak)


def _values(resources: dict[str, str]) -> dict[str, int]:
    return {name: value(resources, name) for name in resources}


def _plus(total: dict[str, int], more: dict[str, str]) -> dict[str, int]:
    return _sum((total, _values(more)))


def _sum(blocks: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for block in blocks:
        for name, value in block.items():
            total[name] = total.get(name, 0) + value
    return total


def _most(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in {**one, **other}}
