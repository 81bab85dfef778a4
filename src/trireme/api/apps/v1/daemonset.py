"""Types of daemonset: see the API reference, apps/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api import columns, rules
from trireme.api.apps.v1 import counts
from trireme.api.core.v1.pod import defaults as pod_defaults
from trireme.api.core.v1.pod import prepare as pod_prepare
from trireme.api.core.v1.pod import warnings as pod_warnings
from trireme.api.core.v1.pod.rules import template
from trireme.api.core.v1.pod.template import PodTemplateSpec
from trireme.api.rules import Errors
from trireme.machinery import field, intstr, labels, meta
from trireme.machinery.field import Path
from trireme.machinery.resource import Column, Resource, spec_changed, status
from trireme.machinery.types import (
    Default,
    Enum,
    Int32,
    Int64,
    IntOrString,
    Merge,
    Required,
    Struct,
    Time,
    always,
    constant,
    listmap,
    null,
)

DaemonSetUpdateStrategyType = Annotated[str, Enum(("OnDelete", "RollingUpdate"))]


class RollingUpdateDaemonSet(Struct):
    maxUnavailable: IntOrString | None = None
    maxSurge: IntOrString | None = None


class DaemonSetUpdateStrategy(Struct):
    type: Annotated[DaemonSetUpdateStrategyType, Default("RollingUpdate")] = ""
    rollingUpdate: RollingUpdateDaemonSet | None = None


class DaemonSetSpec(Struct):
    selector: Annotated[meta.LabelSelector | None, Required()] = null()
    template: Annotated[PodTemplateSpec, Required()] = always(PodTemplateSpec)
    updateStrategy: DaemonSetUpdateStrategy = always(DaemonSetUpdateStrategy)
    minReadySeconds: Int32 = 0
    revisionHistoryLimit: Annotated[Int32 | None, Default(10)] = None


class DaemonSetCondition(Struct):
    type: Annotated[str, Required()] = always(str)
    status: Annotated[str, Required()] = always(str)
    lastTransitionTime: Time | None = null()
    reason: str = ""
    message: str = ""


class DaemonSetStatus(Struct):
    currentNumberScheduled: Annotated[Int32, Required()] = always(int)
    numberMisscheduled: Annotated[Int32, Required()] = always(int)
    desiredNumberScheduled: Annotated[Int32, Required()] = always(int)
    numberReady: Annotated[Int32, Required()] = always(int)
    observedGeneration: Int64 = 0
    updatedNumberScheduled: Int32 = 0
    numberAvailable: Int32 = 0
    numberUnavailable: Int32 = 0
    collisionCount: Int32 | None = None
    conditions: Annotated[list[DaemonSetCondition], listmap("type"), Merge("type")] = []


class DaemonSet(Struct):
    kind: str = constant("DaemonSet")
    apiVersion: str = constant("apps/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: DaemonSetSpec = always(DaemonSetSpec)
    status: DaemonSetStatus = always(DaemonSetStatus)


TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
_STRATEGIES = ("RollingUpdate", "OnDelete")
_COUNTS = (
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
    "observedGeneration",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
    "collisionCount",
)


def defaults(obj: DaemonSet) -> None:
    """One unavailable pod at a time in a rolling update, and the template's defaults."""
    strategy = obj.spec.updateStrategy
    if strategy.type == "RollingUpdate":
        rolling = strategy.rollingUpdate or RollingUpdateDaemonSet()
        if rolling.maxUnavailable is None:
            rolling.maxUnavailable = 1
        if rolling.maxSurge is None:
            rolling.maxSurge = 0
        strategy.rollingUpdate = rolling
    pod_defaults.template(obj.spec.template)


def prepare_create(new: DaemonSet) -> None:
    """Template generation 1; fields of disabled features are dropped."""
    _count_templates(new, max(_template_number(new), 1))
    pod_prepare.drop_disabled(new.spec.template.spec, None)


def prepare_update(new: DaemonSet, old: DaemonSet) -> None:
    """Increments the template generation; drops fields of disabled features not in use."""
    pod_prepare.drop_disabled(new.spec.template.spec, old.spec.template.spec)
    _count_templates(new, _template_number(old) + (new.spec.template != old.spec.template))


def prepare_status(new: DaemonSet, old: DaemonSet) -> None:
    """A status write keeps the template generation."""
    _count_templates(new, _template_number(old))


def _template_number(obj: DaemonSet) -> int:
    """The template generation: a field of older versions, kept as an annotation."""
    return intstr.number(obj.metadata.annotations.get(TEMPLATE_GENERATION, ""))


def _count_templates(obj: DaemonSet, number: int) -> None:
    kept = {TEMPLATE_GENERATION: str(number)}
    obj.metadata.annotations = {**obj.metadata.annotations, **kept}


def warnings(new: DaemonSet, old: DaemonSet | None) -> list[str]:
    """Those of the template, when it changed."""
    if old is not None and _template_number(new) == _template_number(old):
        return []
    return pod_warnings.template(pod_warnings.TEMPLATE, new.spec.template)


def validate(new: DaemonSet) -> Errors:
    """The spec as a whole."""
    errs: Errors = []
    spec, at = new.spec, field.path("spec")
    here = at.child("template")
    rules.label_selector(errs, at.child("selector"), spec.selector)
    if not _selects(spec):
        detail = "`selector` does not match template `labels`"
        bad_value = spec.template.metadata.labels or None
        errs.append(field.invalid(here.child("metadata", "labels"), bad_value, detail))
    selector = spec.selector
    if selector is not None and not selector.matchLabels and not selector.matchExpressions:
        detail = "empty selector is invalid for daemonset"
        errs.append(field.invalid(at.child("selector"), selector, detail))
    template.validate(errs, here, spec.template)
    template.always_restarts(errs, here, spec.template, "DaemonSet")
    rules.not_negative(errs, at, "minReadySeconds", spec.minReadySeconds)
    _strategy(errs, at.child("updateStrategy"), spec.updateStrategy)
    if spec.revisionHistoryLimit is not None:
        rules.not_negative(errs, at, "revisionHistoryLimit", spec.revisionHistoryLimit)
    return errs


def _selects(spec: DaemonSetSpec) -> bool:
    try:
        return labels.from_struct(spec.selector).matches(spec.template.metadata.labels)
    except ValueError:
        return True


def _strategy(errs: Errors, at: Path, strategy: DaemonSetUpdateStrategy) -> None:
    if strategy.type not in _STRATEGIES:
        errs.append(field.not_supported(at, strategy, _STRATEGIES))
    elif strategy.type == "RollingUpdate":
        if strategy.rollingUpdate is None:
            errs.append(field.required(at.child("rollingUpdate")))
        else:
            _rolling(errs, at.child("rollingUpdate"), strategy.rollingUpdate)


def _rolling(errs: Errors, at: Path, rolling: RollingUpdateDaemonSet) -> None:
    unavailable = 0 if rolling.maxUnavailable is None else rolling.maxUnavailable
    surge = 0 if rolling.maxSurge is None else rolling.maxSurge
    rules.percentage_or_count(errs, at, "maxUnavailable", unavailable)
    rules.percentage_or_count(errs, at, "maxSurge", surge)
    rules.at_most_all(errs, at, "maxUnavailable", unavailable)
    rules.at_most_all(errs, at, "maxSurge", surge)
    some, more = not counts.is_zero(unavailable), not counts.is_zero(surge)
    if some and more:
        detail = "may not be set when maxUnavailable is non-zero"
        errs.append(field.invalid(at.child("maxSurge"), surge, detail))
    elif not some and not more:
        detail = "cannot be 0 when maxSurge is 0"
        errs.append(field.required(at.child("maxUnavailable"), detail))


def validate_update(new: DaemonSet, old: DaemonSet) -> Errors:
    """The selector stays."""
    errs: Errors = []
    rules.unchanged(errs, field.path("spec"), "selector", new.spec.selector, old.spec.selector)
    return errs + validate(new)


def validate_status(new: DaemonSet, old: DaemonSet) -> Errors:
    """Counts are not negative; the count of collisions does not fall."""
    errs: Errors = []
    at = field.path("status")
    for name in _COUNTS:
        rules.not_negative(errs, at, name, getattr(new.status, name) or 0)
    counts.not_decremented(errs, new.status.collisionCount, old.status.collisionCount)
    return errs


RESOURCE = Resource(
    type=DaemonSet,
    plural="daemonsets",
    short_names=("ds",),
    categories=("all",),
    subresources=(status(),),
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    prepare_status=prepare_status,
    validate=validate,
    validate_update=validate_update,
    validate_status=validate_status,
    warnings=warnings,
    generation=spec_changed,
    columns=(
        columns.NAME,
        Column(
            "Desired",
            "status.desiredNumberScheduled",
            "How many nodes should run the pod.",
            type="integer",
        ),
        Column(
            "Current",
            "status.currentNumberScheduled",
            "How many of those nodes have it.",
            type="integer",
        ),
        Column("Ready", "status.numberReady", "On how many it is ready.", type="integer"),
        Column(
            "Up-to-date",
            "status.updatedNumberScheduled",
            "On how many it has the present template.",
            type="integer",
        ),
        Column(
            "Available",
            "status.numberAvailable",
            "On how many it is ready for long enough.",
            type="integer",
        ),
        Column(
            "Node Selector",
            lambda obj: labels.format_labels(obj.spec.template.spec.nodeSelector),
            "The labels of the nodes that get the pod.",
        ),
        columns.AGE,
        *columns.CONTAINERS,
        columns.SELECTOR,
    ),
)
