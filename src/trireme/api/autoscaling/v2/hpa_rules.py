"""Rules of HorizontalPodAutoscaler. Upstream: pkg/apis/autoscaling/validation; its strategy says
when an invalid apiVersion is accepted."""

from __future__ import annotations

from typing import Any, Final

from trireme.api import rules
from trireme.api.autoscaling.v2.hpa_types import (
    HorizontalPodAutoscalerSpec,
    HPAScalingRules,
)
from trireme.api.autoscaling.v2.metrics import (
    CrossVersionObjectReference,
    MetricIdentifier,
    MetricSpec,
    MetricTarget,
)
from trireme.api.rules import Errors
from trireme.machinery import field, names, quantity
from trireme.machinery.field import Path

_MAX_PERIOD: Final = 1800
_MAX_WINDOW: Final = 3600
_TYPES: Final = ("ContainerResource", "External", "Object", "Pods", "Resource")
# Type → field, in the order in which sources are looked at.
_SOURCES: Final = {
    "Object": "object",
    "External": "external",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}
# How an apiVersion is validated: not at all; any; with a group.
_ANYTHING, _ANY_VERSION, _WITH_GROUP = range(3)


def validate(new: Any) -> Errors:
    """All rules of a new autoscaler."""
    errs: Errors = []
    target = _ANY_VERSION if _is_controller(new) else _WITH_GROUP
    _spec(errs, field.path("spec"), new.spec, 1, target, _ANY_VERSION)
    return errs


def validate_update(new: Any, old: Any) -> Errors:
    """As on create; an invalid apiVersion that was accepted before may stay."""
    errs: Errors = []
    now, was = new.spec.scaleTargetRef, old.spec.scaleTargetRef
    if (now.apiVersion, now.kind) == (was.apiVersion, was.kind):
        target = _ANYTHING
    else:
        target = _ANY_VERSION if _is_controller(new) else _WITH_GROUP
    described = _ANY_VERSION
    before = [item.object for item in old.spec.metrics if item.type == "Object" and item.object]
    if any(_version_problem(item.describedObject.apiVersion, _ANY_VERSION) for item in before):
        described = _ANYTHING
    lowest = 0 if old.spec.minReplicas == 0 else 1
    _spec(errs, field.path("spec"), new.spec, lowest, target, described)
    return errs


def validate_status(new: Any, _old: Any) -> Errors:
    """Counts are not negative."""
    errs: Errors = []
    at = field.path("status")
    rules.not_negative(errs, at, "currentReplicas", new.status.currentReplicas)
    rules.not_negative(errs, at, "desiredReplicas", new.status.desiredReplicas)
    return errs


def _is_controller(new: Any) -> bool:
    return bool(new.spec.scaleTargetRef.kind == "ReplicationController")


def _spec(
    errs: Errors,
    at: Path,
    spec: HorizontalPodAutoscalerSpec,
    lowest: int,
    target: int,
    described: int,
) -> None:
    least, most = spec.minReplicas, spec.maxReplicas
    if least is not None and least < lowest:
        detail = f"must be greater than or equal to {lowest}"
        errs.append(field.invalid(at.child("minReplicas"), least, detail))
    if most == 0:
        errs.append(field.required(at.child("maxReplicas"), "must be set and greater than 0"))
    elif most < 0:
        detail = "must be greater than or equal to 1"
        errs.append(field.invalid(at.child("maxReplicas"), most, detail))
    if least is not None and most < least:
        detail = "must be greater than or equal to `minReplicas`"
        errs.append(field.invalid(at.child("maxReplicas"), most, detail))
    _reference(errs, at.child("scaleTargetRef"), spec.scaleTargetRef, target)
    metrics = at.child("metrics")
    for i, metric in enumerate(spec.metrics):
        _metric(errs, metrics.index(i), metric, described)
    outside = any(metric.type in ("Object", "External") for metric in spec.metrics)
    if least == 0 and not outside:
        detail = "must specify at least one Object or External metric to support scaling to zero"
        errs.append(field.forbidden(metrics, f"{detail} replicas"))
    if spec.behavior is not None:
        for name in ("scaleUp", "scaleDown"):
            _rules(errs, at.child("behavior").child(name), getattr(spec.behavior, name))


def _reference(errs: Errors, at: Path, ref: CrossVersionObjectReference, mode: int) -> None:
    for name in ("kind", "name"):
        text = getattr(ref, name)
        if rules.required(errs, at, name, text):
            rules.add(errs, at.child(name), text, names.is_path_segment(text))
    problem = _version_problem(ref.apiVersion, mode)
    if problem:
        errs.append(field.invalid(at.child("apiVersion"), ref.apiVersion, problem))


def _version_problem(text: str, mode: int) -> str:
    if mode == _ANYTHING:
        return ""
    if text.count("/") > 1:
        return f"unexpected GroupVersion string: {text}"
    if mode == _WITH_GROUP and not text.partition("/")[0] * ("/" in text):
        return "apiVersion must specify API group"
    return ""


def _rules(errs: Errors, at: Path, scaling: HPAScalingRules | None) -> None:
    if scaling is None:
        return
    window = scaling.stabilizationWindowSeconds
    if window is not None:
        where = at.child("stabilizationWindowSeconds")
        if window < 0:
            errs.append(field.invalid(where, window, "must be greater than or equal to zero"))
        if window > _MAX_WINDOW:
            detail = f"must be less than or equal to {_MAX_WINDOW}"
            errs.append(field.invalid(where, window, detail))
    rules.declared(errs, at, scaling, "selectPolicy")
    if not scaling.policies:
        errs.append(field.required(at.child("policies"), "must specify at least one Policy"))
    for i, policy in enumerate(scaling.policies):
        where = at.child("policies").index(i)
        rules.one_of(errs, where, "type", policy.type, ("Percent", "Pods"))
        for name in ("value", "periodSeconds"):
            count = getattr(policy, name)
            if count <= 0:
                errs.append(field.invalid(where.child(name), count, "must be greater than zero"))
        if policy.periodSeconds > _MAX_PERIOD:
            detail = f"must be less than or equal to {_MAX_PERIOD}"
            errs.append(field.invalid(where.child("periodSeconds"), policy.periodSeconds, detail))
    if scaling.tolerance is not None and quantity.parse(scaling.tolerance).nanos < 0:
        detail = "must be greater than or equal to 0"
        errs.append(field.invalid(at.child("tolerance"), scaling.tolerance, detail))


def _metric(errs: Errors, at: Path, metric: MetricSpec, described: int) -> None:
    if not metric.type:
        errs.append(field.required(at.child("type"), "must specify a metric source type"))
    if metric.type not in _TYPES:
        errs.append(field.not_supported(at.child("type"), metric.type, _TYPES))
    present = [name for name in _SOURCES.values() if getattr(metric, name) is not None]
    if present:
        name = present[0]
        _source(errs, at.child(name), name, getattr(metric, name), described)
    expected = _SOURCES.get(metric.type)
    if expected is None:
        errs.append(field.not_supported(at.child("type"), metric.type, _TYPES))
    elif expected not in present:
        detail = "must populate information for the given metric source"
        errs.append(field.required(at.child(expected), detail))
    if len(present) != 1:
        detail = "must populate the given metric source only"
        errs += [field.forbidden(at.child(name), detail) for name in present if name != expected]


def _source(errs: Errors, at: Path, name: str, source: Any, described: int) -> None:
    target, where = source.target, at.child("target")
    if name == "object":
        _reference(errs, at.child("describedObject"), source.describedObject, described)
    if name in ("object", "external", "pods"):
        _identifier(errs, at.child("metric"), source.metric)
    elif not source.name:
        errs.append(field.required(at.child("name"), "must specify a resource name"))
    elif name == "containerResource":
        rules.syntax(errs, at, "name", source.name, names.is_qualified_name)
    if name == "containerResource":
        if not source.container:
            errs.append(field.required(at.child("container"), "must specify a container"))
        else:
            rules.syntax(errs, at, "container", source.container, names.is_dns1123_label)
    _target(errs, where, target)
    if name in ("object", "external"):
        if target.value is None and target.averageValue is None:
            alternative = "averageValue" if name == "object" else "a per-pod target"
            what = "a target value" if name == "object" else "a target value for metric"
            detail = f"must set either {what} or {alternative}"
            errs.append(field.required(where.child("averageValue"), detail))
        if name == "external" and None not in (target.value, target.averageValue):
            detail = "may not set both a target value for metric and a per-pod target"
            errs.append(field.forbidden(where.child("value"), detail))
    elif name == "pods":
        if target.averageValue is None:
            detail = "must specify a positive target averageValue"
            errs.append(field.required(where.child("averageValue"), detail))
    else:
        both = "a target raw value and a target utilization"
        if target.averageUtilization is None and target.averageValue is None:
            detail = "must set either a target raw value or a target utilization"
            errs.append(field.required(where.child("averageUtilization"), detail))
        if None not in (target.averageUtilization, target.averageValue):
            errs.append(field.forbidden(where.child("averageValue"), f"may not set both {both}"))


def _target(errs: Errors, at: Path, target: MetricTarget) -> None:
    if not target.type:
        errs.append(field.required(at.child("type"), "must specify a metric target type"))
    if target.type not in ("Utilization", "Value", "AverageValue"):
        detail = "must be either Utilization, Value, or AverageValue"
        errs.append(field.invalid(at.child("type"), target.type, detail))
    for name in ("value", "averageValue"):
        value = getattr(target, name)
        if value is not None and quantity.parse(value).nanos <= 0:
            errs.append(field.invalid(at.child(name), value, "must be positive"))
    share = target.averageUtilization
    if share is not None and share < 1:
        errs.append(field.invalid(at.child("averageUtilization"), share, "must be greater than 0"))


def _identifier(errs: Errors, at: Path, metric: MetricIdentifier) -> None:
    if not metric.name:
        errs.append(field.required(at.child("name"), "must specify a metric name"))
    else:
        rules.add(errs, at.child("name"), metric.name, names.is_path_segment(metric.name))
