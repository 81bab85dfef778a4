"""HorizontalPodAutoscaler: see the API reference, autoscaling/v2. This version is stored."""

from __future__ import annotations

from typing import Annotated, Any

from trireme.api import columns
from trireme.api.autoscaling.v2 import hpa_rules
from trireme.api.autoscaling.v2.hpa_types import (
    HorizontalPodAutoscalerBehavior,
    HorizontalPodAutoscalerSpec,
    HorizontalPodAutoscalerStatus,
    HPAScalingPolicy,
    HPAScalingRules,
)
from trireme.api.autoscaling.v2.metrics import (
    MetricSpec,
    MetricStatus,
    MetricTarget,
    ResourceMetricSource,
)
from trireme.machinery import meta
from trireme.machinery.resource import Column, Resource, status
from trireme.machinery.types import Required, Struct, always, constant

# autoscaling/v1 keeps here what it has no fields for; this version drops them.
ANNOTATION = "autoscaling.alpha.kubernetes.io/"
ROUND_TRIP = tuple(
    ANNOTATION + name for name in ("metrics", "current-metrics", "conditions", "behavior")
)
DEFAULT_UTILIZATION = 80


class HorizontalPodAutoscaler(Struct):
    kind: str = constant("HorizontalPodAutoscaler")
    apiVersion: str = constant("autoscaling/v2")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[HorizontalPodAutoscalerSpec, Required()] = always(HorizontalPodAutoscalerSpec)
    status: HorizontalPodAutoscalerStatus = always(HorizontalPodAutoscalerStatus)


def cpu(utilization: int) -> MetricSpec:
    """The metric that every autoscaler has that names none: the use of CPU, in percent."""
    target = MetricTarget(type="Utilization", averageUtilization=utilization)
    return MetricSpec(type="Resource", resource=ResourceMetricSource(name="cpu", target=target))


def defaults(obj: HorizontalPodAutoscaler) -> None:
    """One replica at least, CPU at 80 percent, and whole rules where any are given."""
    spec = obj.spec
    for name in ROUND_TRIP:
        obj.metadata.annotations.pop(name, None)
    if spec.minReplicas is None:
        spec.minReplicas = 1
    if not spec.metrics:
        spec.metrics = [cpu(DEFAULT_UTILIZATION)]
    if spec.behavior is not None:
        fill(spec.behavior)


def fill(behavior: HorizontalPodAutoscalerBehavior) -> None:
    """Fills in the scaling rules that a behavior leaves out."""
    behavior.scaleUp = up = behavior.scaleUp or HPAScalingRules()
    behavior.scaleDown = down = behavior.scaleDown or HPAScalingRules()
    if up.stabilizationWindowSeconds is None:
        up.stabilizationWindowSeconds = 0
    for rules in (up, down):
        if rules.selectPolicy is None:
            rules.selectPolicy = "Max"
    percent = HPAScalingPolicy(type="Percent", value=100, periodSeconds=15)
    if not up.policies:
        up.policies = [HPAScalingPolicy(type="Pods", value=4, periodSeconds=15), percent]
    if not down.policies:
        down.policies = [HPAScalingPolicy(type="Percent", value=100, periodSeconds=15)]


def _targets(specs: list[MetricSpec], statuses: list[MetricStatus]) -> str:
    if not specs:
        return columns.NONE
    printed = [
        _target(spec, statuses[i] if i < len(statuses) else None) for i, spec in enumerate(specs)
    ]
    text = ", ".join(printed[:2])
    return f"{text} + {len(printed) - 2} more..." if len(printed) > 2 else text


def _target(spec: MetricSpec, there: MetricStatus | None) -> str:
    part = {
        "External": "external",
        "Pods": "pods",
        "Object": "object",
        "Resource": "resource",
        "ContainerResource": "containerResource",
    }.get(spec.type)
    source = getattr(spec, part) if part else None
    if part is None or source is None:
        return "<unknown type>"
    found = getattr(there, part) if there is not None else None
    current = found.current if found is not None else None
    target = source.target
    if part in ("resource", "containerResource"):
        if target.averageValue is not None:
            return f"{source.name}: {_quantity(current, 'averageValue')}/{target.averageValue}"
        return f"{source.name}: {_percent(current)}/{_percent(target, '<auto>')}"
    if part == "pods":
        return f"{_quantity(current, 'averageValue')}/{target.averageValue}"
    if target.averageValue is not None:
        return f"{_quantity(current, 'averageValue')}/{target.averageValue} (avg)"
    return f"{_quantity(current, 'value')}/{target.value}"


def _quantity(current: Any, name: str) -> str:
    value = getattr(current, name) if current is not None else None
    return columns.UNKNOWN if value is None else str(value)


def _percent(values: Any, without: str = columns.UNKNOWN) -> str:
    share = values.averageUtilization if values is not None else None
    return without if share is None else f"{share}%"


RESOURCE = Resource(
    type=HorizontalPodAutoscaler,
    plural="horizontalpodautoscalers",
    short_names=("hpa",),
    categories=("all",),
    subresources=(status(),),
    defaults=defaults,
    validate=hpa_rules.validate,
    validate_update=hpa_rules.validate_update,
    validate_status=hpa_rules.validate_status,
    columns=(
        columns.NAME,
        Column(
            "Reference",
            lambda obj: f"{obj.spec.scaleTargetRef.kind}/{obj.spec.scaleTargetRef.name}",
            "What is scaled.",
        ),
        Column(
            "Targets",
            lambda obj: _targets(obj.spec.metrics, obj.status.currentMetrics or []),
            "What is measured, beside what it should be.",
        ),
        Column(
            "MinPods",
            lambda obj: None if obj.spec.minReplicas is None else str(obj.spec.minReplicas),
            "How few replicas there may be.",
            unset=columns.UNSET,
        ),
        Column("MaxPods", "spec.maxReplicas", "How many replicas there may be."),
        Column("Replicas", "status.currentReplicas", "How many replicas there are."),
        columns.AGE,
    ),
)
