"""Types of what a HorizontalPodAutoscaler measures: see the API reference, autoscaling/v2."""

from __future__ import annotations

from typing import Annotated

from trireme.machinery import meta
from trireme.machinery.types import Int32, Quantity, Required, Struct, always


class CrossVersionObjectReference(Struct):
    kind: Annotated[str, Required()] = always(str)
    name: Annotated[str, Required()] = always(str)
    apiVersion: str = ""


class MetricIdentifier(Struct):
    name: Annotated[str, Required()] = always(str)
    selector: meta.LabelSelector | None = None


class MetricTarget(Struct):
    type: Annotated[str, Required()] = always(str)
    value: Quantity | None = None
    averageValue: Quantity | None = None
    averageUtilization: Int32 | None = None


class MetricValueStatus(Struct):
    value: Quantity | None = None
    averageValue: Quantity | None = None
    averageUtilization: Int32 | None = None


class ObjectMetricSource(Struct):
    describedObject: Annotated[CrossVersionObjectReference, Required()] = always(
        CrossVersionObjectReference
    )
    target: Annotated[MetricTarget, Required()] = always(MetricTarget)
    metric: Annotated[MetricIdentifier, Required()] = always(MetricIdentifier)


class PodsMetricSource(Struct):
    metric: Annotated[MetricIdentifier, Required()] = always(MetricIdentifier)
    target: Annotated[MetricTarget, Required()] = always(MetricTarget)


class ResourceMetricSource(Struct):
    name: Annotated[str, Required()] = always(str)
    target: Annotated[MetricTarget, Required()] = always(MetricTarget)


class ContainerResourceMetricSource(Struct):
    name: Annotated[str, Required()] = always(str)
    target: Annotated[MetricTarget, Required()] = always(MetricTarget)
    container: Annotated[str, Required()] = always(str)


class ExternalMetricSource(Struct):
    metric: Annotated[MetricIdentifier, Required()] = always(MetricIdentifier)
    target: Annotated[MetricTarget, Required()] = always(MetricTarget)


class MetricSpec(Struct):
    type: Annotated[str, Required()] = always(str)
    object: ObjectMetricSource | None = None
    pods: PodsMetricSource | None = None
    resource: ResourceMetricSource | None = None
    containerResource: ContainerResourceMetricSource | None = None
    external: ExternalMetricSource | None = None


class ObjectMetricStatus(Struct):
    metric: Annotated[MetricIdentifier, Required()] = always(MetricIdentifier)
    current: Annotated[MetricValueStatus, Required()] = always(MetricValueStatus)
    describedObject: Annotated[CrossVersionObjectReference, Required()] = always(
        CrossVersionObjectReference
    )


class PodsMetricStatus(Struct):
    metric: Annotated[MetricIdentifier, Required()] = always(MetricIdentifier)
    current: Annotated[MetricValueStatus, Required()] = always(MetricValueStatus)


class ResourceMetricStatus(Struct):
    name: Annotated[str, Required()] = always(str)
    current: Annotated[MetricValueStatus, Required()] = always(MetricValueStatus)


class ContainerResourceMetricStatus(Struct):
    name: Annotated[str, Required()] = always(str)
    current: Annotated[MetricValueStatus, Required()] = always(MetricValueStatus)
    container: Annotated[str, Required()] = always(str)


class ExternalMetricStatus(Struct):
    metric: Annotated[MetricIdentifier, Required()] = always(MetricIdentifier)
    current: Annotated[MetricValueStatus, Required()] = always(MetricValueStatus)


class MetricStatus(Struct):
    type: Annotated[str, Required()] = always(str)
    object: ObjectMetricStatus | None = None
    pods: PodsMetricStatus | None = None
    resource: ResourceMetricStatus | None = None
    containerResource: ContainerResourceMetricStatus | None = None
    external: ExternalMetricStatus | None = None
