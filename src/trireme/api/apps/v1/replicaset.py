"""Types of replicaset: see the API reference, apps/v1."""

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
from trireme.machinery.resource import (
    Resource,
    Scale,
    Subresource,
    spec_changed,
    status,
)
from trireme.machinery.types import (
    Default,
    Int32,
    Int64,
    Merge,
    Required,
    Struct,
    Time,
    always,
    constant,
    listmap,
    null,
)


class ReplicaSetSpec(Struct):
    replicas: Annotated[Int32 | None, Default(1)] = None
    minReadySeconds: Int32 = 0
    selector: Annotated[meta.LabelSelector | None, Required()] = None
    template: PodTemplateSpec = always(PodTemplateSpec)


class ReplicaSetCondition(Struct):
    type: Annotated[str, Required()] = always(str)
    status: Annotated[str, Required()] = always(str)
    lastTransitionTime: Time | None = null()
    reason: str = ""
    message: str = ""


class ReplicaSetStatus(Struct):
    replicas: Annotated[Int32, Required()] = always(int)
    fullyLabeledReplicas: Int32 = 0
    readyReplicas: Int32 = 0
    availableReplicas: Int32 = 0
    terminatingReplicas: Int32 | None = None
    observedGeneration: Int64 = 0
    conditions: Annotated[list[ReplicaSetCondition], listmap("type"), Merge("type")] = []


class ReplicaSet(Struct):
    kind: str = constant("ReplicaSet")
    apiVersion: str = constant("apps/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: ReplicaSetSpec = always(ReplicaSetSpec)
    status: ReplicaSetStatus = always(ReplicaSetStatus)


_COUNTS = (
    "replicas",
    "fullyLabeledReplicas",
    "readyReplicas",
    "availableReplicas",
    "observedGeneration",
    "terminatingReplicas",
)
_PARTS = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")


def defaults(obj: ReplicaSet) -> None:
    """Those of the template."""
    pod_defaults.template(obj.spec.template)


def prepare_create(new: ReplicaSet) -> None:
    """Fields of features that are off are dropped from the template."""
    pod_prepare.drop_disabled(new.spec.template.spec, None)


def prepare_update(new: ReplicaSet, old: ReplicaSet) -> None:
    """As on create, unless the old template has them."""
    pod_prepare.drop_disabled(new.spec.template.spec, old.spec.template.spec)


def validate(new: ReplicaSet) -> Errors:
    """The spec as a whole."""
    errs: Errors = []
    spec, at = new.spec, field.path("spec")
    rules.not_negative(errs, at, "replicas", spec.replicas or 0)
    rules.not_negative(errs, at, "minReadySeconds", spec.minReadySeconds)
    template.selected(errs, at, spec.template, spec.selector)
    return errs


def validate_update(new: ReplicaSet, old: ReplicaSet) -> Errors:
    """The selector stays."""
    errs = validate(new)
    at = field.path("spec")
    rules.unchanged(errs, at, "selector", new.spec.selector, old.spec.selector)
    return errs


def validate_status(new: ReplicaSet, _old: ReplicaSet) -> Errors:
    """Counts that go together."""
    errs: Errors = []
    counts.validate_counts(errs, new.status, _COUNTS, _PARTS)
    return errs


RESOURCE = Resource(
    type=ReplicaSet,
    plural="replicasets",
    short_names=("rs",),
    categories=("all",),
    subresources=(Subresource("scale", ("get", "patch", "update"), ScaleObject), status()),
    scale=Scale(
        selector=lambda obj: str(labels.from_struct(obj.spec.selector)),
        status_replicas=lambda obj: obj.status.replicas,
    ),
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate,
    validate_update=validate_update,
    validate_status=validate_status,
    warnings=pod_warnings.workload,
    generation=spec_changed,
    columns=(*columns.REPLICAS, *columns.CONTAINERS, columns.SELECTOR),
    selectable={"status.replicas": lambda obj: str(obj.status.replicas)},
)
