"""The phase of a pod from its container statuses. Pure.

In: the pod, its statuses. Out: Pending, Running, Succeeded or Failed. Called by status/compute.
Rules: reference "Phase"; KEP-753.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from trireme.api.core import v1 as core
from trireme.kubelet import podspec


class _Count(msgspec.Struct):
    unknown: int = 0
    running: int = 0
    waiting: int = 0
    stopped: int = 0
    final: int = 0
    succeeded: int = 0
    pending_init: int = 0
    pending_sidecars: int = 0
    failed_init: int = 0


def phase(
    pod: core.Pod,
    statuses: Mapping[str, core.ContainerStatus],
    *,
    terminal: bool,
    initialized: bool,
) -> str:
    """``terminal``: nothing will be started again; ``initialized``: a regular one has started."""
    count = _Count()
    for container in pod.spec.initContainers:
        if podspec.is_sidecar(container):
            _count_sidecar(statuses.get(container.name), count)
        else:
            _count_init(pod, container, statuses.get(container.name), count)
    for container in pod.spec.containers:
        _count_regular(pod, container, statuses.get(container.name), count)

    if count.failed_init:
        return "Failed"
    if count.pending_init or (count.pending_sidecars and not initialized) or count.waiting:
        return "Pending"
    if count.running and not count.unknown:
        return "Running"
    if count.stopped and not count.unknown:
        if not terminal and count.stopped != count.final:
            return "Running"
        return "Succeeded" if count.stopped == count.succeeded else "Failed"
    return "Pending"


def _count_init(
    pod: core.Pod, container: core.Container, status: core.ContainerStatus | None, count: _Count
) -> None:
    ended = _ended(status)
    if status is None or status.state.running is not None or ended is None:
        count.pending_init += 1
    elif ended.exitCode != 0 and not podspec.should_restart(container, pod, ended.exitCode):
        count.failed_init += 1


def _count_sidecar(status: core.ContainerStatus | None, count: _Count) -> None:
    if status is None:
        count.unknown += 1
    elif status.state.running is not None:
        count.running += 1
        count.pending_sidecars += not status.started
    elif status.state.terminated is None and status.state.waiting is None:
        count.unknown += 1
        count.pending_sidecars += 1
    elif _ended(status) is None:
        count.waiting += 1
        count.pending_sidecars += 1


def _count_regular(
    pod: core.Pod, container: core.Container, status: core.ContainerStatus | None, count: _Count
) -> None:
    if status is None:
        count.unknown += 1
        return
    if status.state.running is not None:
        count.running += 1
        return
    ended = _ended(status)
    if ended is None:
        if status.state.waiting is not None:
            count.waiting += 1
        else:
            count.unknown += 1
        return
    count.stopped += 1
    count.final += not podspec.should_restart(container, pod, ended.exitCode)
    if status.state.terminated is not None:
        count.succeeded += ended.exitCode == 0


def _ended(status: core.ContainerStatus | None) -> core.ContainerStateTerminated | None:
    """How the container ended, now or (while it waits to be started again) last time."""
    if status is None:
        return None
    if status.state.terminated is not None:
        return status.state.terminated
    return status.lastState.terminated if status.state.waiting is not None else None
