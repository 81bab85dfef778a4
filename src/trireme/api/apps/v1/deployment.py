"""Types of deployment: see the API reference, apps/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api import columns, rules
from trireme.api.apps.v1 import counts
from trireme.api.autoscaling.v1.scale import Scale as ScaleObject
from trireme.api.core.v1.pod import defaults as pod_defaults
from trireme.api.core.v1.pod import prepare as pod_prepare
from trireme.api.core.v1.pod import warnings as pod_warnings
from trireme.api.core.v1.pod.rules import template
from trireme.api.core.v1.pod.template import PodTemplateSpec
from trireme.api.rules import Errors
from trireme.machinery import field, labels, meta
from trireme.machinery.resource import Column, Resource, Scale, Subresource, status
from trireme.machinery.types import (
    Default,
    Enum,
    Int32,
    Int64,
    IntOrString,
    Merge,
    Required,
    RetainKeys,
    Struct,
    Time,
    always,
    constant,
    listmap,
    null,
)

DeploymentStrategyType = Annotated[str, Enum(("Recreate", "RollingUpdate"))]


class RollingUpdateDeployment(Struct):
    maxUnavailable: IntOrString | None = None
    maxSurge: IntOrString | None = None


class DeploymentStrategy(Struct):
    type: Annotated[DeploymentStrategyType, Default("RollingUpdate")] = ""
    rollingUpdate: RollingUpdateDeployment | None = None


class DeploymentSpec(Struct):
    replicas: Annotated[Int32 | None, Default(1)] = None
    selector: Annotated[meta.LabelSelector | None, Required()] = None
    template: Annotated[PodTemplateSpec, Required()] = always(PodTemplateSpec)
    strategy: Annotated[DeploymentStrategy, RetainKeys()] = always(DeploymentStrategy)
    minReadySeconds: Int32 = 0
    revisionHistoryLimit: Annotated[Int32 | None, Default(10)] = None
    paused: bool = False
    progressDeadlineSeconds: Annotated[Int32 | None, Default(600)] = None


class DeploymentCondition(Struct):
    type: Annotated[str, Required()] = always(str)
    status: Annotated[str, Required()] = always(str)
    lastUpdateTime: Time | None = null()
    lastTransitionTime: Time | None = null()
    reason: str = ""
    message: str = ""


class DeploymentStatus(Struct):
    observedGeneration: Int64 = 0
    replicas: Int32 = 0
    updatedReplicas: Int32 = 0
    readyReplicas: Int32 = 0
    availableReplicas: Int32 = 0
    unavailableReplicas: Int32 = 0
    terminatingReplicas: Int32 | None = None
    conditions: Annotated[list[DeploymentCondition], listmap("type"), Merge("type")] = []
    collisionCount: Int32 | None = None


class Deployment(Struct):
    kind: str = constant("Deployment")
    apiVersion: str = constant("apps/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: DeploymentSpec = always(DeploymentSpec)
    status: DeploymentStatus = always(DeploymentStatus)


_COUNTS = (
    "observedGeneration",
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
    "terminatingReplicas",
    "collisionCount",
)
_PARTS = ("updatedReplicas", "readyReplicas", "availableReplicas")


def defaults(obj: Deployment) -> None:
    """25% surge and 25% unavailable in a rolling update, and the template's defaults."""
    strategy = obj.spec.strategy
    if strategy.type == "RollingUpdate":
        rolling = strategy.rollingUpdate or RollingUpdateDeployment()
        if rolling.maxUnavailable is None:
            rolling.maxUnavailable = "25%"
        if rolling.maxSurge is None:
            rolling.maxSurge = "25%"
        strategy.rollingUpdate = rolling
    pod_defaults.template(obj.spec.template)


def prepare_create(new: Deployment) -> None:
    """Fields of features that are off are dropped from the template."""
    pod_prepare.drop_disabled(new.spec.template.spec, None)


def prepare_update(new: Deployment, old: Deployment) -> None:
    """As on create, unless the old template has them."""
    pod_prepare.drop_disabled(new.spec.template.spec, old.spec.template.spec)


def prepare_status(new: Deployment, old: Deployment) -> None:
    """A status write does not touch the labels."""
    new.metadata.labels = old.metadata.labels


def changed(new: Deployment, old: Deployment) -> bool:
    """The generation counts the spec, and annotations: they are copied to the replica sets."""
    return new.spec != old.spec or new.metadata.annotations != old.metadata.annotations


def validate(new: Deployment) -> Errors:
    """The spec as a whole."""
    errs: Errors = []
    spec, at = new.spec, field.path("spec")
    rules.not_negative(errs, at, "replicas", spec.replicas or 0)
    template.selected(errs, at, spec.template, spec.selector)
    _validate_strategy(errs, spec.strategy)
    rules.not_negative(errs, at, "minReadySeconds", spec.minReadySeconds)
    if spec.revisionHistoryLimit is not None:
        rules.not_negative(errs, at, "revisionHistoryLimit", spec.revisionHistoryLimit)
    deadline = spec.progressDeadlineSeconds
    if deadline is not None:
        rules.not_negative(errs, at, "progressDeadlineSeconds", deadline)
        if deadline <= spec.minReadySeconds:
            detail = "must be greater than minReadySeconds"
            errs.append(field.invalid(at.child("progressDeadlineSeconds"), deadline, detail))
    return errs


def validate_update(new: Deployment, old: Deployment) -> Errors:
    """The selector stays."""
    errs = validate(new)
    at = field.path("spec")
    rules.unchanged(errs, at, "selector", new.spec.selector, old.spec.selector)
    return errs


def validate_status(new: Deployment, old: Deployment) -> Errors:
    """Counts that go together."""
    errs: Errors = []
    counts.validate_counts(errs, new.status, _COUNTS, _PARTS)
    counts.not_decremented(errs, new.status.collisionCount, old.status.collisionCount)
    return errs


def _validate_strategy(errs: Errors, strategy: DeploymentStrategy) -> None:
    at = field.path("spec", "strategy")
    here, rolling = at.child("rollingUpdate"), strategy.rollingUpdate
    if strategy.type == "Recreate":
        if rolling is not None:
            detail = "may not be specified when strategy `type` is 'Recreate'"
            errs.append(field.forbidden(here, detail))
    elif strategy.type != "RollingUpdate":
        supported = ("Recreate", "RollingUpdate")
        errs.append(field.not_supported(at, strategy, supported))
    elif rolling is None:
        errs.append(field.required(here, "this should be defaulted and never be nil"))
    else:
        unavailable = 0 if rolling.maxUnavailable is None else rolling.maxUnavailable
        surge = 0 if rolling.maxSurge is None else rolling.maxSurge
        rules.percentage_or_count(errs, here, "maxUnavailable", unavailable)
        rules.percentage_or_count(errs, here, "maxSurge", surge)
        if counts.is_zero(unavailable) and counts.is_zero(surge):
            detail = "may not be 0 when `maxSurge` is 0"
            errs.append(field.invalid(here.child("maxUnavailable"), unavailable, detail))
        rules.at_most_all(errs, here, "maxUnavailable", unavailable)


def _selector(selector: meta.LabelSelector | None) -> str:
    try:
        return str(labels.from_struct(selector))
    except ValueError:
        return "<invalid>"


RESOURCE = Resource(
    type=Deployment,
    plural="deployments",
    short_names=("deploy",),
    categories=("all",),
    subresources=(Subresource("scale", ("get", "patch", "update"), ScaleObject), status()),
    scale=Scale(
        selector=lambda obj: str(labels.from_struct(obj.spec.selector)),
        status_replicas=lambda obj: obj.status.replicas,
    ),
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    prepare_status=prepare_status,
    reset_fields={"status": ("spec", "metadata.labels")},
    validate=validate,
    validate_update=validate_update,
    validate_status=validate_status,
    warnings=pod_warnings.workload,
    generation=changed,
    columns=(
        columns.NAME,
        Column(
            "Ready",
            lambda obj: f"{obj.status.readyReplicas}/{obj.spec.replicas or 0}",
            "How many of the wanted pods are ready.",
        ),
        Column("Up-to-date", "status.updatedReplicas", "How many pods have the present template."),
        Column(
            "Available",
            "status.availableReplicas",
            "How many pods have been ready for long enough.",
        ),
        columns.AGE,
        *columns.CONTAINERS,
        columns.selector(_selector),
    ),
)
