"""How many replicas a metric asks for. Pure.

In: what was measured of which pods, and a target; values in thousandths. Out: ``Proposal``;
ValueError in upstream's words where nothing can be said. Called by ``proposals``. Upstream:
pkg/controller/podautoscaler/replica_calculator.go;
https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#algorithm-details.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from trireme.api.core.v1.pod import aggregate
from trireme.api.core.v1.pod.pod import Pod
from trireme.domain import pod_resources, pods
from trireme.domain.resource_lists import ZERO
from trireme.machinery import quantity, time

MAX_INT32: Final = 2**31 - 1
MAX_INT64: Final = 2**63 - 1


@dataclass(frozen=True)
class PodMetric:
    """One pod's measurement: when (epoch seconds), over how many seconds, and how much."""

    timestamp: float
    window: float
    value: int


@dataclass(frozen=True)
class Proposal:
    """``replicas`` that the metric asks for; ``usage`` on average, for the status;
    ``utilization`` in percent of what was requested, where the target is one."""

    replicas: int
    usage: int
    utilization: int = 0


@dataclass(frozen=True)
class Rules:
    """What counts as no change, and as a pod that is starting. Shares and seconds."""

    tolerance_down: float
    tolerance_up: float
    cpu_initialization: float
    initial_readiness: float
    now: float

    def within(self, ratio: float) -> bool:
        """Whether usage is near enough to its target."""
        return 1.0 - self.tolerance_down <= ratio <= 1.0 + self.tolerance_up


@dataclass(frozen=True)
class _Groups:
    """Pods by name: how many are ready; those that are starting, that have no metric, that go."""

    ready: int
    unready: set[str]
    missing: set[str]
    ignored: set[str]


def of_utilization(
    rules: Rules,
    selected: Sequence[Pod],
    measured: Mapping[str, PodMetric],
    resource: str,
    container: str,
    current: int,
    target: int,
) -> Proposal:
    """For a target in percent of what the pods (or one container of each) request."""

    @cache
    def requested_by() -> dict[str, int]:
        return {pod.metadata.name: _request(pod, resource, container) for pod in selected}

    def ratio(metrics: Mapping[str, int]) -> tuple[float, int, int]:
        requests = requested_by()
        known = [name for name in metrics if name in requests]
        requested = sum(requests[name] for name in known)
        if not requested:
            raise ValueError("no metrics returned matched known pods")
        total = sum(metrics[name] for name in known)
        utilization = total * 100 // requested
        return utilization / target, utilization, total // len(known)

    def assumed(name: str) -> int:
        return requested_by()[name] * max(100, target) // 100

    return _propose(rules, _some(selected), measured, resource, current, ratio, assumed)


def of_average(
    rules: Rules,
    selected: Sequence[Pod],
    measured: Mapping[str, PodMetric],
    resource: str,
    current: int,
    target: int,
) -> Proposal:
    """For a target that each pod should use on average. ``resource`` "" is a custom metric."""

    def ratio(metrics: Mapping[str, int]) -> tuple[float, int, int]:
        usage = sum(metrics.values()) // len(metrics)
        return usage / target, 0, usage

    return _propose(rules, _some(selected), measured, resource, current, ratio, lambda _: target)


def of_value(
    rules: Rules, selected: Sequence[Pod], current: int, usage: int, target: int
) -> Proposal:
    """For one value that all pods bring about together."""
    ratio = usage / target
    if current == 0:
        return Proposal(math.ceil(ratio), usage)
    if rules.within(ratio):
        return Proposal(current, usage)
    ready = sum(pod.status.phase == "Running" and pods.is_ready(pod) for pod in _some(selected))
    return Proposal(min(MAX_INT32, math.ceil(ratio * ready)), usage)


def of_value_per_pod(rules: Rules, replicas: int, usage: int, target: int) -> Proposal:
    """For one value that is shared among the pods; ``replicas`` is how many there are."""
    count = replicas
    ratio = usage / (target * replicas) if replicas else math.inf
    if not rules.within(ratio):
        count = min(MAX_INT32, math.ceil(usage / target))
    average = MAX_INT64 if usage >= MAX_INT64 or not replicas else math.ceil(usage / replicas)
    return Proposal(count, average)


def _some(selected: Sequence[Pod]) -> Sequence[Pod]:
    if not selected:
        raise ValueError("no pods returned by selector while calculating replica count")
    return selected


def _propose(
    rules: Rules,
    selected: Sequence[Pod],
    measured: Mapping[str, PodMetric],
    resource: str,
    current: int,
    ratio: Callable[[Mapping[str, int]], tuple[float, int, int]],
    assumed: Callable[[str], int],
) -> Proposal:
    """What ratio and ready pods give; where pods are starting or not measured, they are assumed to
    use what makes the change smaller, and a change that this turns around is none."""
    groups = _group(selected, measured, resource, rules)
    left_out = groups.ignored | groups.unready
    metrics = {name: item.value for name, item in measured.items() if name not in left_out}
    if not metrics:
        raise ValueError("did not receive metrics for targeted pods (pods might be unready)")
    first, utilization, usage = ratio(metrics)
    with_unready = bool(groups.unready) and first > 1.0
    if not with_unready and not groups.missing:
        if rules.within(first):
            return Proposal(current, usage, utilization)
        return Proposal(math.ceil(first * groups.ready), usage, utilization)
    if first != 1.0:
        for name in groups.missing:
            metrics[name] = assumed(name) if first < 1.0 else 0
    if with_unready:
        metrics |= dict.fromkeys(groups.unready, 0)
    second, _, _ = ratio(metrics)
    turned = (first < 1.0 < second) or (second < 1.0 < first)
    if rules.within(second) or turned:
        return Proposal(current, usage, utilization)
    replicas = math.ceil(second * len(metrics))
    if (second < 1.0 and replicas > current) or (second > 1.0 and replicas < current):
        return Proposal(current, usage, utilization)
    return Proposal(replicas, usage, utilization)


def _group(
    selected: Iterable[Pod], measured: Mapping[str, PodMetric], resource: str, rules: Rules
) -> _Groups:
    ready = 0
    unready: set[str] = set()
    missing: set[str] = set()
    ignored: set[str] = set()
    for pod in selected:
        name = pod.metadata.name
        if pod.metadata.deletionTimestamp is not None or pod.status.phase == "Failed":
            ignored.add(name)
        elif pod.status.phase == "Pending":
            unready.add(name)
        elif name not in measured:
            missing.add(name)
        elif resource == "cpu" and _is_starting(pod, measured[name], rules):
            unready.add(name)
        else:
            ready += 1
    return _Groups(ready, unready, missing, ignored)


def _is_starting(pod: Pod, metric: PodMetric, rules: Rules) -> bool:
    """Whether what the pod uses says nothing yet: starting takes CPU of its own."""
    condition = pods.condition(pod, "Ready")
    if condition is None or pod.status.startTime is None:
        return True
    started = time.parse(pod.status.startTime)
    changed = time.parse(condition.lastTransitionTime) if condition.lastTransitionTime else 0.0
    unready = condition.status == "False"
    if started + rules.cpu_initialization > rules.now:
        return unready or metric.timestamp < changed + metric.window
    return unready and started + rules.initial_readiness > changed


def _request(pod: Pod, resource: str, container: str) -> int:
    """What the pod, or one container of it, requests, in thousandths."""
    declared = pod.spec.resources
    if (
        not container
        and declared is not None
        and any(aggregate.is_pod_level(name) for name in declared.requests)
    ):
        found = pod_resources.requests(pod).get(resource)
        if found is None:
            name = pod.metadata.name
            raise ValueError(f"missing pod-level request for {resource} in Pod {name}")
        return found.milli_value()
    sidecars = [item for item in pod.spec.initContainers if aggregate.is_sidecar(item)]
    total = ZERO
    for item in (*pod.spec.containers, *sidecars):
        if container and item.name != container:
            continue
        text = item.resources.requests.get(resource)
        if text is None:
            raise ValueError(
                f"missing request for {resource} in container {item.name} of Pod "
                f"{pod.metadata.name}"
            )
        total += quantity.parse(text)
        if container:
            return total.milli_value()
    if container:
        raise ValueError(f"container {container} not found in Pod {pod.metadata.name}")
    return total.milli_value()
