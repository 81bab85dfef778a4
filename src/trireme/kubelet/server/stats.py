"""Resource usage of the node and its pods.

In: the runtime's container statistics and the machine's memory. Out: the summary document, and the
resource metrics that metrics servers read. Called by server/app. Rules: reference "HTTP server";
KEP-2371 (statistics from CRI, without cAdvisor).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from trireme.kubelet import labels
from trireme.kubelet.cgroups.apply import Usage
from trireme.kubelet.cri import model
from trireme.kubelet.host.contract import DiskUsage
from trireme.kubelet.volumes.plugin import Amount, VolumeUsage
from trireme.machinery import time


class _Sample(msgspec.Struct):
    at: int
    total: int
    rate: int = 0


class Rates:
    """CPU usage rates from two readings, for runtimes that report totals only."""

    def __init__(self) -> None:
        self._last: dict[str, _Sample] = {}

    def nano_cores(self, key: str, at: int, total: int) -> int:
        """Billionths of a core between this reading and the last; 0 for the first."""
        last = self._last.get(key)
        rate = 0
        if last is not None:
            if at - last.at < 10**9:
                return last.rate
            rate = max(0, (total - last.total) * 10**9 // (at - last.at))
        self._last[key] = _Sample(at, total, rate)
        return rate

    def keep_only(self, keys: Iterable[str]) -> None:
        known = set(keys)
        self._last = {key: sample for key, sample in self._last.items() if key in known}


class Container(msgspec.Struct, frozen=True):
    """One container's usage. CPU in nanoseconds and billionths of a core, memory in bytes."""

    namespace: str
    pod: str
    uid: str
    name: str
    at: int
    cpu_total: int
    cpu_rate: int
    working_set: int
    usage: int
    rss: int
    disk: int


def containers(stats: Sequence[model.ContainerStats], rates: Rates) -> list[Container]:
    found = []
    for item in stats:
        if item.attributes is None or item.cpu is None or item.memory is None:
            continue
        names, memory = item.attributes.labels, item.memory
        total = item.cpu.usage_core_nano_seconds or 0
        rate = item.cpu.usage_nano_cores
        if rate is None:
            rate = rates.nano_cores(item.attributes.id, item.cpu.timestamp, total)
        disk = item.writable_layer.used_bytes if item.writable_layer is not None else 0
        found.append(
            Container(
                names.get(labels.POD_NAMESPACE, ""),
                names.get(labels.POD_NAME, ""),
                names.get(labels.POD_UID, ""),
                names.get(labels.CONTAINER_NAME, ""),
                item.cpu.timestamp,
                total,
                rate,
                memory.working_set_bytes or 0,
                memory.usage_bytes or memory.working_set_bytes or 0,
                memory.rss_bytes or 0,
                disk or 0,
            )
        )
    rates.keep_only(item.attributes.id for item in stats if item.attributes is not None)
    return found


def summary(
    node: str,
    used: Sequence[Container],
    memory: dict[str, int],
    disk: DiskUsage,
    volumes: Sequence[VolumeUsage],
    now: float,
) -> dict[str, Any]:
    """The document of /stats/summary."""
    timestamp = time.format(now)
    pods: dict[str, list[Container]] = {}
    for container in used:
        pods.setdefault(container.uid, []).append(container)
    total = memory.get("MemTotal", 0)
    available = memory.get("MemAvailable", 0)
    return {
        "node": {
            "nodeName": node,
            "cpu": {
                "time": timestamp,
                "usageNanoCores": sum(c.cpu_rate for c in used),
                "usageCoreNanoSeconds": sum(c.cpu_total for c in used),
            },
            "memory": {
                "time": timestamp,
                "availableBytes": available,
                "workingSetBytes": sum(c.working_set for c in used),
                "usageBytes": total - memory.get("MemFree", 0),
            },
            "fs": _fs(timestamp, disk),
            "runtime": {"imageFs": _fs(timestamp, disk)},
        },
        "pods": [
            _pod(timestamp, uid, of, [v for v in volumes if v.uid == uid])
            for uid, of in pods.items()
        ],
    }


def metrics(used: Sequence[Container], node: Usage | None, now: float) -> list[Metric]:
    """The families of /metrics/resource; ``now`` is when ``node`` was read. The runtime says when
    it read a container's counters: rates rest on that."""
    cpu = CounterMetricFamily(
        "container_cpu_usage_seconds",
        "CPU time of the container",
        labels=["container", "pod", "namespace"],
    )
    memory = GaugeMetricFamily(
        "container_memory_working_set_bytes",
        "Memory of the container",
        labels=["container", "pod", "namespace"],
    )
    pod_cpu = CounterMetricFamily(
        "pod_cpu_usage_seconds", "CPU time of the pod", labels=["pod", "namespace"]
    )
    pod_memory = GaugeMetricFamily(
        "pod_memory_working_set_bytes", "Memory of the pod", labels=["pod", "namespace"]
    )
    pods: dict[tuple[str, str], tuple[int, int]] = {}
    for c in used:
        names, at = [c.name, c.pod, c.namespace], c.at / 1e9
        cpu.add_metric(names, c.cpu_total / 1e9, timestamp=at)
        memory.add_metric(names, c.working_set, timestamp=at)
        before = pods.get((c.pod, c.namespace), (0, 0))
        pods[c.pod, c.namespace] = before[0] + c.cpu_total, before[1] + c.working_set
    for (pod, namespace), (time_used, bytes_used) in pods.items():
        pod_cpu.add_metric([pod, namespace], time_used / 1e9)
        pod_memory.add_metric([pod, namespace], bytes_used)
    if node is None:
        node = Usage(sum(c.cpu_total for c in used), sum(c.working_set for c in used))
    node_cpu = CounterMetricFamily("node_cpu_usage_seconds", "CPU time of the node")
    node_cpu.add_metric([], node.cpu / 1e9, timestamp=now)
    node_memory = GaugeMetricFamily("node_memory_working_set_bytes", "Memory of the node")
    node_memory.add_metric([], node.working_set, timestamp=now)
    error = GaugeMetricFamily("resource_scrape_error", "1 when the numbers could not be had")
    error.add_metric([], 0)
    return [cpu, memory, node_cpu, node_memory, pod_cpu, pod_memory, error]


def volume_metrics(volumes: Sequence[VolumeUsage]) -> list[Metric]:
    """The families kubelet_volume_stats_* of /metrics: of each claim once."""
    claims = {(volume.namespace, volume.claim): volume for volume in volumes}
    families: list[Metric] = []
    for name, amount, part in (
        ("available_bytes", "bytes", "available"),
        ("capacity_bytes", "bytes", "total"),
        ("used_bytes", "bytes", "used"),
        ("inodes", "inodes", "total"),
        ("inodes_free", "inodes", "available"),
        ("inodes_used", "inodes", "used"),
    ):
        family = GaugeMetricFamily(
            f"kubelet_volume_stats_{name}",
            f"{amount} of the volume: {part}",
            labels=["namespace", "persistentvolumeclaim"],
        )
        for key, volume in claims.items():
            found: Amount | None = getattr(volume, amount)
            if found is not None:
                family.add_metric(key, getattr(found, part))
        families.append(family)
    return families


def _pod(
    timestamp: str, uid: str, of: Sequence[Container], volumes: Sequence[VolumeUsage]
) -> dict[str, Any]:
    return {
        "podRef": {"name": of[0].pod, "namespace": of[0].namespace, "uid": uid},
        "cpu": {
            "time": timestamp,
            "usageNanoCores": sum(c.cpu_rate for c in of),
            "usageCoreNanoSeconds": sum(c.cpu_total for c in of),
        },
        "memory": {
            "time": timestamp,
            "workingSetBytes": sum(c.working_set for c in of),
            "usageBytes": sum(c.usage for c in of),
            "rssBytes": sum(c.rss for c in of),
        },
        "containers": [
            {
                "name": c.name,
                "cpu": {
                    "time": timestamp,
                    "usageNanoCores": c.cpu_rate,
                    "usageCoreNanoSeconds": c.cpu_total,
                },
                "memory": {
                    "time": timestamp,
                    "workingSetBytes": c.working_set,
                    "usageBytes": c.usage,
                    "rssBytes": c.rss,
                },
                "rootfs": {"time": timestamp, "usedBytes": c.disk},
            }
            for c in of
        ],
        "volume": [_volume(timestamp, volume) for volume in volumes],
    }


def _volume(timestamp: str, volume: VolumeUsage) -> dict[str, Any]:
    size, inodes = volume.bytes, volume.inodes
    found = {
        "time": timestamp,
        "name": volume.name,
        "pvcRef": {"name": volume.claim, "namespace": volume.namespace},
        "capacityBytes": size.total,
        "availableBytes": size.available,
        "usedBytes": size.used,
    }
    if inodes is not None:
        found |= {
            "inodes": inodes.total,
            "inodesFree": inodes.available,
            "inodesUsed": inodes.used,
        }
    return found


def _fs(timestamp: str, disk: DiskUsage) -> dict[str, Any]:
    return {
        "time": timestamp,
        "availableBytes": disk.available,
        "capacityBytes": disk.capacity,
        "usedBytes": disk.used,
        "inodes": disk.inodes,
        "inodesFree": disk.inodes_free,
        "inodesUsed": disk.inodes - disk.inodes_free,
    }
