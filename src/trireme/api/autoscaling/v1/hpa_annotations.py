"""What autoscaling/v1 keeps in annotations, as it has no fields for it: metrics, conditions, rules.

In: parts of a v2 HorizontalPodAutoscaler. Out: annotation texts, and the parts again. A text that
cannot be read counts as none. Pure. Upstream: pkg/apis/autoscaling/v1/conversion.go.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from trireme.api.autoscaling.v2 import hpa_types as types
from trireme.api.autoscaling.v2 import metrics as v2
from trireme.machinery import meta, quantity

T = TypeVar("T")
_SOURCES = ("object", "pods", "resource", "containerResource", "external")


class _Part(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Base of the old forms: unknown fields are ignored."""


def _written(value: Any) -> Any:
    return msgspec.field(default_factory=lambda: value)


class Reference(_Part):
    kind: str = _written("")
    name: str = _written("")
    apiVersion: str = ""


class ObjectSource(_Part):
    target: Reference | None = _written(None)
    metricName: str = _written("")
    targetValue: str = _written("0")
    selector: meta.LabelSelector | None = None
    averageValue: str | None = None


class ObjectStatus(_Part):
    target: Reference | None = _written(None)
    metricName: str = _written("")
    currentValue: str = _written("0")
    selector: meta.LabelSelector | None = None
    averageValue: str | None = None


class PodsSource(_Part):
    metricName: str = _written("")
    targetAverageValue: str = _written("0")
    selector: meta.LabelSelector | None = None


class PodsStatus(_Part):
    metricName: str = _written("")
    currentAverageValue: str = _written("0")
    selector: meta.LabelSelector | None = None


class ResourceSource(_Part):
    name: str = _written("")
    targetAverageUtilization: int | None = None
    targetAverageValue: str | None = None


class ContainerSource(ResourceSource):
    container: str = _written("")


class ResourceStatus(_Part):
    name: str = _written("")
    currentAverageUtilization: int | None = None
    currentAverageValue: str = _written("0")


class ContainerStatus(ResourceStatus):
    container: str = _written("")


class ExternalSource(_Part):
    metricName: str = _written("")
    metricSelector: meta.LabelSelector | None = None
    targetValue: str | None = None
    targetAverageValue: str | None = None


class ExternalStatus(_Part):
    metricName: str = _written("")
    metricSelector: meta.LabelSelector | None = None
    currentValue: str = _written("0")
    currentAverageValue: str | None = None


class Spec(_Part):
    type: str = _written("")
    object: ObjectSource | None = None
    pods: PodsSource | None = None
    resource: ResourceSource | None = None
    containerResource: ContainerSource | None = None
    external: ExternalSource | None = None


class Status(_Part):
    type: str = _written("")
    object: ObjectStatus | None = None
    pods: PodsStatus | None = None
    resource: ResourceStatus | None = None
    containerResource: ContainerStatus | None = None
    external: ExternalStatus | None = None


# Rules are kept in the form of a type without JSON names.
class Policy(_Part):
    Type: str = _written("")
    Value: int = _written(0)
    PeriodSeconds: int = _written(0)


class Rules(_Part):
    StabilizationWindowSeconds: int | None = _written(None)
    SelectPolicy: str | None = _written(None)
    Policies: list[Policy] | None = _written(None)
    Tolerance: str | None = _written(None)


class Behavior(_Part):
    ScaleUp: Rules | None = _written(None)
    ScaleDown: Rules | None = _written(None)


def read(text: str, form: type[T]) -> T | None:
    """What an annotation holds; None when it cannot be read."""
    try:
        return msgspec.json.decode(text, type=form)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return None


def write(value: Any) -> str:
    """An annotation's text."""
    return msgspec.json.encode(value).decode()


def spec_to_v1(metric: v2.MetricSpec) -> Spec:
    """A metric in the old form."""
    converted = Spec(type=metric.type)
    for name in _SOURCES:
        source = getattr(metric, name)
        if source is None:
            continue
        target = source.target
        match name:
            case "object":
                converted.object = ObjectSource(
                    target=_reference(source.describedObject),
                    metricName=source.metric.name,
                    targetValue=target.value or "0",
                    selector=source.metric.selector,
                    averageValue=target.averageValue,
                )
            case "pods":
                converted.pods = PodsSource(
                    metricName=source.metric.name,
                    targetAverageValue=target.averageValue or "0",
                    selector=source.metric.selector,
                )
            case "external":
                converted.external = ExternalSource(
                    metricName=source.metric.name,
                    metricSelector=source.metric.selector,
                    targetValue=target.value,
                    targetAverageValue=target.averageValue,
                )
            case _:
                common = {
                    "name": source.name,
                    "targetAverageUtilization": target.averageUtilization,
                    "targetAverageValue": target.averageValue,
                }
                if name == "resource":
                    converted.resource = ResourceSource(**common)
                else:
                    container = source.container
                    converted.containerResource = ContainerSource(**common, container=container)
    return converted


def spec_from_v1(old: Spec) -> v2.MetricSpec:
    """The metric of an old form."""
    metric = v2.MetricSpec(type=old.type)
    if old.object is not None:
        average, value = old.object.averageValue, old.object.targetValue
        kept = average is None or bool(quantity.parse(value).nanos)
        metric.object = v2.ObjectMetricSource(
            describedObject=_described(old.object.target),
            target=v2.MetricTarget(
                type="Value" if average is None else "AverageValue",
                value=value if kept else None,
                averageValue=average,
            ),
            metric=v2.MetricIdentifier(name=old.object.metricName, selector=old.object.selector),
        )
    if old.pods is not None:
        metric.pods = v2.PodsMetricSource(
            metric=v2.MetricIdentifier(name=old.pods.metricName, selector=old.pods.selector),
            target=v2.MetricTarget(type="AverageValue", averageValue=old.pods.targetAverageValue),
        )
    if old.resource is not None:
        metric.resource = v2.ResourceMetricSource(
            name=old.resource.name, target=_share(old.resource)
        )
    if old.containerResource is not None:
        metric.containerResource = v2.ContainerResourceMetricSource(
            name=old.containerResource.name,
            target=_share(old.containerResource),
            container=old.containerResource.container,
        )
    if old.external is not None:
        target = old.external.targetValue
        metric.external = v2.ExternalMetricSource(
            metric=v2.MetricIdentifier(
                name=old.external.metricName, selector=old.external.metricSelector
            ),
            target=v2.MetricTarget(
                type="AverageValue" if target is None else "Value",
                value=target,
                averageValue=old.external.targetAverageValue,
            ),
        )
    return metric


def status_to_v1(there: v2.MetricStatus) -> Status:
    """A measured metric in the old form."""
    converted = Status(type=there.type)
    if there.object is not None:
        converted.object = ObjectStatus(
            target=_reference(there.object.describedObject),
            metricName=there.object.metric.name,
            currentValue=there.object.current.value or "0",
            selector=there.object.metric.selector,
            averageValue=there.object.current.averageValue,
        )
    if there.pods is not None:
        converted.pods = PodsStatus(
            metricName=there.pods.metric.name,
            currentAverageValue=there.pods.current.averageValue or "0",
            selector=there.pods.metric.selector,
        )
    if there.resource is not None:
        converted.resource = ResourceStatus(
            name=there.resource.name,
            currentAverageUtilization=there.resource.current.averageUtilization,
            currentAverageValue=there.resource.current.averageValue or "0",
        )
    if there.containerResource is not None:
        converted.containerResource = ContainerStatus(
            name=there.containerResource.name,
            currentAverageUtilization=there.containerResource.current.averageUtilization,
            currentAverageValue=there.containerResource.current.averageValue or "0",
            container=there.containerResource.container,
        )
    if there.external is not None:
        converted.external = ExternalStatus(
            metricName=there.external.metric.name,
            metricSelector=there.external.metric.selector,
            currentValue=there.external.current.value or "0",
            currentAverageValue=there.external.current.averageValue,
        )
    return converted


def status_from_v1(old: Status) -> v2.MetricStatus:
    """The measured metric of an old form."""
    there = v2.MetricStatus(type=old.type)
    if old.object is not None:
        there.object = v2.ObjectMetricStatus(
            metric=v2.MetricIdentifier(name=old.object.metricName, selector=old.object.selector),
            current=v2.MetricValueStatus(
                value=old.object.currentValue, averageValue=old.object.averageValue
            ),
            describedObject=_described(old.object.target),
        )
    if old.pods is not None:
        there.pods = v2.PodsMetricStatus(
            metric=v2.MetricIdentifier(name=old.pods.metricName, selector=old.pods.selector),
            current=v2.MetricValueStatus(averageValue=old.pods.currentAverageValue),
        )
    if old.resource is not None:
        there.resource = v2.ResourceMetricStatus(
            name=old.resource.name, current=_measured(old.resource)
        )
    if old.containerResource is not None:
        there.containerResource = v2.ContainerResourceMetricStatus(
            name=old.containerResource.name,
            current=_measured(old.containerResource),
            container=old.containerResource.container,
        )
    if old.external is not None:
        there.external = v2.ExternalMetricStatus(
            metric=v2.MetricIdentifier(
                name=old.external.metricName, selector=old.external.metricSelector
            ),
            current=v2.MetricValueStatus(
                value=old.external.currentValue, averageValue=old.external.currentAverageValue
            ),
        )
    return there


def behavior_to_v1(behavior: types.HorizontalPodAutoscalerBehavior) -> Behavior:
    """Scaling rules as they are kept."""

    def one(rules: types.HPAScalingRules | None) -> Rules | None:
        if rules is None:
            return None
        return Rules(
            StabilizationWindowSeconds=rules.stabilizationWindowSeconds,
            SelectPolicy=rules.selectPolicy,
            Policies=[
                Policy(Type=item.type, Value=item.value, PeriodSeconds=item.periodSeconds)
                for item in rules.policies
            ]
            or None,
            Tolerance=rules.tolerance,
        )

    return Behavior(ScaleUp=one(behavior.scaleUp), ScaleDown=one(behavior.scaleDown))


def behavior_from_v1(kept: Behavior) -> types.HorizontalPodAutoscalerBehavior | None:
    """Scaling rules that were kept; None where there are none."""

    def one(rules: Rules | None) -> types.HPAScalingRules | None:
        if rules is None:
            return None
        return types.HPAScalingRules(
            stabilizationWindowSeconds=rules.StabilizationWindowSeconds,
            selectPolicy=rules.SelectPolicy,
            policies=[
                types.HPAScalingPolicy(
                    type=item.Type, value=item.Value, periodSeconds=item.PeriodSeconds
                )
                for item in rules.Policies or []
            ],
            tolerance=rules.Tolerance,
        )

    if kept.ScaleUp is None and kept.ScaleDown is None:
        return None
    return types.HorizontalPodAutoscalerBehavior(
        scaleUp=one(kept.ScaleUp), scaleDown=one(kept.ScaleDown)
    )


def _reference(ref: v2.CrossVersionObjectReference) -> Reference:
    return Reference(kind=ref.kind, name=ref.name, apiVersion=ref.apiVersion)


def _described(ref: Reference | None) -> v2.CrossVersionObjectReference:
    ref = ref or Reference()
    return v2.CrossVersionObjectReference(kind=ref.kind, name=ref.name, apiVersion=ref.apiVersion)


def _share(old: ResourceSource) -> v2.MetricTarget:
    share = old.targetAverageUtilization
    return v2.MetricTarget(
        type="AverageValue" if share is None else "Utilization",
        averageValue=old.targetAverageValue,
        averageUtilization=share,
    )


def _measured(old: ResourceStatus) -> v2.MetricValueStatus:
    return v2.MetricValueStatus(
        averageValue=old.currentAverageValue, averageUtilization=old.currentAverageUtilization
    )
