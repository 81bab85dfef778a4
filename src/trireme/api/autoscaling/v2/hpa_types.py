"""Types of horizontalpodautoscaler: see the API reference, autoscaling/v2."""

from __future__ import annotations

from typing import Annotated

from trireme.api.autoscaling.v2.metrics import (
    CrossVersionObjectReference,
    MetricSpec,
    MetricStatus,
)
from trireme.machinery.types import (
    Atomic,
    Enum,
    Int32,
    Int64,
    Merge,
    Quantity,
    Required,
    Struct,
    Time,
    always,
    listmap,
    null,
)

ScalingPolicySelect = Annotated[str, Enum(("Disabled", "Max", "Min"))]


class HPAScalingPolicy(Struct):
    type: Annotated[str, Required()] = always(str)
    value: Annotated[Int32, Required()] = always(int)
    periodSeconds: Annotated[Int32, Required()] = always(int)


class HPAScalingRules(Struct):
    stabilizationWindowSeconds: Int32 | None = None
    selectPolicy: ScalingPolicySelect | None = None
    policies: Annotated[list[HPAScalingPolicy], Atomic()] = []
    tolerance: Quantity | None = None


class HorizontalPodAutoscalerBehavior(Struct):
    scaleUp: HPAScalingRules | None = None
    scaleDown: HPAScalingRules | None = None


class HorizontalPodAutoscalerSpec(Struct):
    scaleTargetRef: Annotated[CrossVersionObjectReference, Required()] = always(
        CrossVersionObjectReference
    )
    minReplicas: Int32 | None = None
    maxReplicas: Annotated[Int32, Required()] = always(int)
    metrics: Annotated[list[MetricSpec], Atomic()] = []
    behavior: HorizontalPodAutoscalerBehavior | None = None


class HorizontalPodAutoscalerCondition(Struct):
    type: Annotated[str, Required()] = always(str)
    status: Annotated[str, Required()] = always(str)
    lastTransitionTime: Time | None = null()
    reason: str = ""
    message: str = ""


class HorizontalPodAutoscalerStatus(Struct):
    observedGeneration: Int64 | None = None
    lastScaleTime: Time | None = None
    currentReplicas: Int32 = 0
    desiredReplicas: Annotated[Int32, Required()] = always(int)
    currentMetrics: Annotated[list[MetricStatus] | None, Atomic()] = null()
    conditions: Annotated[
        list[HorizontalPodAutoscalerCondition], listmap("type"), Merge("type")
    ] = []
