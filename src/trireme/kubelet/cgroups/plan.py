"""Which cgroups pods live in and with which limits. Pure.

In: pods and the node's allocatable. Out: paths relative to the hierarchy and ``Limits``. Called by
workers and the node. Rules: reference "QoS, OOM, cgroups"; the names are upstream's, because
monitoring reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from trireme.api.core import v1 as core
from trireme.api.core.v1.pod import qos
from trireme.kubelet import podresources


class Limits(msgspec.Struct, frozen=True):
    """CPU shares (2-262144), quota in microseconds per 100 ms, memory in bytes; 0 leaves it out."""

    cpu_shares: int = 0
    cpu_quota: int = 0
    memory: int = 0
    pids: int = 0


def class_path(parent: str, of_class: str) -> str:
    return parent if of_class == qos.GUARANTEED else f"{parent}/{of_class.lower()}"


def pod_path(parent: str, pod: core.Pod) -> str:
    return f"{class_path(parent, qos.of(pod.spec))}/pod{pod.metadata.uid}"


def pod_limits(pod: core.Pod, pids: int = 0) -> Limits:
    requests, limits = podresources.pod_requests(pod), podresources.pod_limits(pod)
    if qos.of(pod.spec) == qos.BEST_EFFORT:
        return Limits(cpu_shares=podresources.MIN_SHARES, pids=pids)
    return Limits(
        cpu_shares=podresources.cpu_shares(requests.get("cpu", 0)),
        cpu_quota=podresources.cpu_quota(limits.get("cpu", 0))
        if podresources.all_declare(pod, "cpu")
        else 0,
        memory=limits.get("memory", 0) if podresources.all_declare(pod, "memory") else 0,
        pids=pids,
    )


def class_limits(pods: Iterable[core.Pod]) -> dict[str, Limits]:
    """Shares of the burstable and best-effort classes, from the pods that run now."""
    burstable = sum(
        podresources.pod_requests(pod).get("cpu", 0)
        for pod in pods
        if qos.of(pod.spec) == qos.BURSTABLE
    )
    return {
        qos.BURSTABLE: Limits(cpu_shares=podresources.cpu_shares(burstable)),
        qos.BEST_EFFORT: Limits(cpu_shares=podresources.MIN_SHARES),
    }


def node_limits(allocatable: dict[str, str]) -> Limits:
    return Limits(
        cpu_shares=podresources.cpu_shares(podresources.value(allocatable, "cpu")),
        memory=podresources.value(allocatable, "memory"),
        pids=podresources.value(allocatable, "pids"),
    )


# cgroup v1 says a number of this size of a group without a limit: beyond any machine's memory.
UNLIMITED = 1 << 62


def read_v1(file: Callable[[str, str], str]) -> Limits:
    """``file``: the content of a controller's file, empty where there is no such controller."""
    memory = int(file("memory", "memory.limit_in_bytes") or 0)
    pids = file("pids", "pids.max")
    return Limits(
        cpu_shares=int(file("cpu", "cpu.shares") or 0),
        cpu_quota=max(int(file("cpu", "cpu.cfs_quota_us") or 0), 0),
        memory=memory if memory < UNLIMITED else 0,
        pids=_number(pids),
    )


def read_v2(file: Callable[[str], str]) -> Limits:
    weight = int(file("cpu.weight") or 0)
    quota, _, period = file("cpu.max").partition(" ")
    milli = podresources.milli_of_quota(_number(quota), int(period or 0))
    return Limits(
        cpu_shares=podresources.shares_of_weight(weight) if weight else 0,
        cpu_quota=podresources.cpu_quota(milli),
        memory=_number(file("memory.max")),
        pids=_number(file("pids.max")),
    )


def _number(text: str) -> int:
    return 0 if text in ("", "max") else int(text)


def v1_files(limits: Limits) -> dict[str, dict[str, str]]:
    """Controller to file to content."""
    files: dict[str, dict[str, str]] = {"cpu": {}, "memory": {}, "pids": {}}
    if limits.cpu_shares:
        files["cpu"]["cpu.shares"] = str(limits.cpu_shares)
    if limits.cpu_quota:
        files["cpu"]["cpu.cfs_period_us"] = str(podresources.CPU_PERIOD)
        files["cpu"]["cpu.cfs_quota_us"] = str(limits.cpu_quota)
    if limits.memory:
        files["memory"]["memory.limit_in_bytes"] = str(limits.memory)
    if limits.pids:
        files["pids"]["pids.max"] = str(limits.pids)
    return files


def v2_files(limits: Limits) -> dict[str, str]:
    """File to content."""
    files: dict[str, str] = {}
    if limits.cpu_shares:
        files["cpu.weight"] = str(podresources.cpu_weight(limits.cpu_shares))
    if limits.cpu_quota:
        files["cpu.max"] = f"{limits.cpu_quota} {podresources.CPU_PERIOD}"
    if limits.memory:
        files["memory.max"] = str(limits.memory)
    if limits.pids:
        files["pids.max"] = str(limits.pids)
    return files
