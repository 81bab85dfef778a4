"""HorizontalPodAutoscaler in autoscaling/v1: CPU alone, all else in annotations. Stored as v2.

Upstream: pkg/apis/autoscaling/v1.
"""

from __future__ import annotations

from typing import Annotated

from trireme.api.autoscaling.v1 import hpa_annotations as kept
from trireme.api.autoscaling.v2 import horizontalpodautoscaler as v2
from trireme.api.autoscaling.v2 import hpa_types as types
from trireme.api.autoscaling.v2.metrics import (
    CrossVersionObjectReference,
    MetricSpec,
    MetricStatus,
    MetricValueStatus,
    ResourceMetricStatus,
)
from trireme.machinery import meta
from trireme.machinery.resource import Conversion, Resource, status
from trireme.machinery.types import (
    Atomic,
    Default,
    Int32,
    Int64,
    Required,
    Struct,
    Time,
    always,
    constant,
)

_METRICS, _CURRENT, _CONDITIONS, _BEHAVIOR = v2.ROUND_TRIP


class HorizontalPodAutoscalerSpec(Struct):
    scaleTargetRef: Annotated[CrossVersionObjectReference, Required(), Atomic()] = always(
        CrossVersionObjectReference
    )
    minReplicas: Annotated[Int32 | None, Default(1)] = None
    maxReplicas: Annotated[Int32, Required()] = always(int)
    targetCPUUtilizationPercentage: Int32 | None = None


class HorizontalPodAutoscalerStatus(Struct):
    observedGeneration: Int64 | None = None
    lastScaleTime: Time | None = None
    currentReplicas: Annotated[Int32, Required()] = always(int)
    desiredReplicas: Annotated[Int32, Required()] = always(int)
    currentCPUUtilizationPercentage: Int32 | None = None


class HorizontalPodAutoscaler(Struct):
    kind: str = constant("HorizontalPodAutoscaler")
    apiVersion: str = constant("autoscaling/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[HorizontalPodAutoscalerSpec, Required()] = always(HorizontalPodAutoscalerSpec)
    status: HorizontalPodAutoscalerStatus = always(HorizontalPodAutoscalerStatus)


def to_v2(obj: HorizontalPodAutoscaler) -> v2.HorizontalPodAutoscaler:
    """The stored form: annotations become fields, and are removed."""
    notes, spec, there = obj.metadata.annotations, obj.spec, obj.status
    share = spec.targetCPUUtilizationPercentage
    metrics = [] if share is None else [v2.cpu(share)]
    others = kept.read(notes.get(_METRICS, ""), list[kept.Spec])
    if others is not None:
        metrics = [*map(kept.spec_from_v1, others), *metrics]
    behavior = None
    rules = kept.read(notes.get(_BEHAVIOR, ""), kept.Behavior)
    if rules is not None:
        behavior = kept.behavior_from_v1(rules)
        if behavior is not None:
            v2.fill(behavior)
    current = kept.read(notes.get(_CURRENT, ""), list[kept.Status])
    conditions = kept.read(notes.get(_CONDITIONS, ""), list[types.HorizontalPodAutoscalerCondition])
    measured = [] if current is None else [kept.status_from_v1(item) for item in current]
    if current is None and there.currentCPUUtilizationPercentage is not None:
        measured = [_measured_cpu(there.currentCPUUtilizationPercentage)]
    for name in v2.ROUND_TRIP:
        notes.pop(name, None)
    return v2.HorizontalPodAutoscaler(
        metadata=obj.metadata,
        spec=types.HorizontalPodAutoscalerSpec(
            scaleTargetRef=spec.scaleTargetRef,
            minReplicas=spec.minReplicas,
            maxReplicas=spec.maxReplicas,
            metrics=metrics or [v2.cpu(v2.DEFAULT_UTILIZATION)],
            behavior=behavior,
        ),
        status=types.HorizontalPodAutoscalerStatus(
            observedGeneration=there.observedGeneration,
            lastScaleTime=there.lastScaleTime,
            currentReplicas=there.currentReplicas,
            desiredReplicas=there.desiredReplicas,
            currentMetrics=measured or None,
            conditions=conditions or [],
        ),
    )


def from_v2(obj: v2.HorizontalPodAutoscaler) -> HorizontalPodAutoscaler:
    """The form of this version: CPU in its field, the rest in annotations."""
    spec, there = obj.spec, obj.status
    notes = obj.metadata.annotations
    for name in v2.ROUND_TRIP:
        notes.pop(name, None)
    others = [kept.spec_to_v1(item) for item in spec.metrics if _cpu(item) is None]
    if others:
        notes[_METRICS] = kept.write(others)
    if there.currentMetrics:
        notes[_CURRENT] = kept.write([kept.status_to_v1(item) for item in there.currentMetrics])
    if spec.behavior is not None:
        notes[_BEHAVIOR] = kept.write(kept.behavior_to_v1(spec.behavior))
    if there.conditions:
        notes[_CONDITIONS] = kept.write(there.conditions)
    shares = [share for item in spec.metrics if (share := _cpu(item)) is not None]
    used = None
    for item in there.currentMetrics or []:
        part = item.resource if item.type == "Resource" else None
        if part is not None and part.name == "cpu":
            used = (
                used if part.current.averageUtilization is None else part.current.averageUtilization
            )
    return HorizontalPodAutoscaler(
        metadata=obj.metadata,
        spec=HorizontalPodAutoscalerSpec(
            scaleTargetRef=spec.scaleTargetRef,
            minReplicas=spec.minReplicas,
            maxReplicas=spec.maxReplicas,
            targetCPUUtilizationPercentage=shares[0] if shares else None,
        ),
        status=HorizontalPodAutoscalerStatus(
            observedGeneration=there.observedGeneration,
            lastScaleTime=there.lastScaleTime,
            currentReplicas=there.currentReplicas,
            desiredReplicas=there.desiredReplicas,
            currentCPUUtilizationPercentage=used,
        ),
    )


def _cpu(metric: MetricSpec) -> int | None:
    """The share of CPU that a metric is about, if it is about that."""
    if metric.type != "Resource" or metric.resource is None or metric.resource.name != "cpu":
        return None
    return metric.resource.target.averageUtilization


def _measured_cpu(share: int) -> MetricStatus:
    current = MetricValueStatus(averageUtilization=share)
    return MetricStatus(type="Resource", resource=ResourceMetricStatus(name="cpu", current=current))


RESOURCE = Resource(
    type=HorizontalPodAutoscaler,
    plural="horizontalpodautoscalers",
    short_names=("hpa",),
    categories=("all",),
    subresources=(status(),),
    columns=v2.RESOURCE.columns,
    printed=to_v2,
    stored_as=Conversion(stored=v2.RESOURCE, to_stored=to_v2, from_stored=from_v2),
)
