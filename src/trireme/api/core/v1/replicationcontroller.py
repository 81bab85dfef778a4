"""Types of replicationcontroller: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api import columns, rules
from trireme.api.apps.v1 import counts
from trireme.api.autoscaling.v1.scale import Scale as ScaleObject
from trireme.api.core.v1.pod import defaults as pod_defaults
from trireme.api.core.v1.pod import prepare as pod_prepare
from trireme.api.core.v1.pod import warnings as pod_warnings
from trireme.api.core.v1.pod.container import Container
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
    Atomic,
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


class ReplicationControllerSpec(Struct):
    replicas: Annotated[Int32 | None, Default(1)] = None
    minReadySeconds: Annotated[Int32, Default(0)] = 0
    selector: Annotated[dict[str, str], Atomic()] = {}
    template: PodTemplateSpec | None = None


class ReplicationControllerCondition(Struct):
    type: Annotated[str, Required()] = always(str)
    status: Annotated[str, Required()] = always(str)
    lastTransitionTime: Time | None = null()
    reason: str = ""
    message: str = ""


class ReplicationControllerStatus(Struct):
    replicas: Annotated[Int32, Required()] = always(int)
    fullyLabeledReplicas: Int32 = 0
    readyReplicas: Int32 = 0
    availableReplicas: Int32 = 0
    observedGeneration: Int64 = 0
    conditions: Annotated[list[ReplicationControllerCondition], listmap("type"), Merge("type")] = []


class ReplicationController(Struct):
    kind: str = constant("ReplicationController")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: ReplicationControllerSpec = always(ReplicationControllerSpec)
    status: ReplicationControllerStatus = always(ReplicationControllerStatus)


_COUNTS = (
    "replicas",
    "fullyLabeledReplicas",
    "readyReplicas",
    "availableReplicas",
    "observedGeneration",
)
_PARTS = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")


def defaults(obj: ReplicationController) -> None:
    """Selector and labels are those of the template; the template's own."""
    spec = obj.spec
    if spec.template is None:
        return
    made = spec.template.metadata.labels
    if made:
        spec.selector = spec.selector or dict(made)
        obj.metadata.labels = obj.metadata.labels or dict(made)
    pod_defaults.template(spec.template)


def prepare_create(new: ReplicationController) -> None:
    """Fields of features that are off are dropped from the template."""
    if new.spec.template is not None:
        pod_prepare.drop_disabled(new.spec.template.spec, None)


def prepare_update(new: ReplicationController, old: ReplicationController) -> None:
    """As on create, unless the old template has them."""
    if new.spec.template is not None:
        was = None if old.spec.template is None else old.spec.template.spec
        pod_prepare.drop_disabled(new.spec.template.spec, was)


def warnings(new: ReplicationController, old: ReplicationController | None) -> list[str]:
    """A name that is no pod's; those of the template, and on update, as upstream does, of the one
    that was."""
    found = pod_warnings.named(new.metadata.name) if old is None else []
    made = new.spec.template if old is None else old.spec.template
    if made is not None and pod_warnings.is_other(new, old):
        found += pod_warnings.template(pod_warnings.TEMPLATE, made)
    return found


def validate(new: ReplicationController) -> Errors:
    """The spec as a whole."""
    errs: Errors = []
    spec, at = new.spec, field.path("spec")
    rules.not_negative(errs, at, "minReadySeconds", spec.minReadySeconds)
    rules.required(errs, at, "selector", spec.selector)
    if spec.replicas is None:
        errs.append(field.required(at.child("replicas")))
    else:
        rules.not_negative(errs, at, "replicas", spec.replicas)
    here = at.child("template")
    if spec.template is None:
        errs.append(field.required(here))
        return errs
    made = spec.template.metadata.labels
    if spec.selector and not labels.from_set(spec.selector).matches(made):
        detail = "`selector` does not match template `labels`"
        errs.append(field.invalid(here.child("metadata", "labels"), made or None, detail))
    template.validate(errs, here, spec.template)
    template.always_restarts(errs, here, spec.template, "ReplicationController")
    return errs


def validate_status(new: ReplicationController, _old: ReplicationController) -> Errors:
    """Counts that go together."""
    errs: Errors = []
    counts.validate_counts(errs, new.status, _COUNTS, _PARTS)
    return errs


def _containers(obj: ReplicationController) -> list[Container]:
    return [] if obj.spec.template is None else obj.spec.template.spec.containers


RESOURCE = Resource(
    type=ReplicationController,
    plural="replicationcontrollers",
    short_names=("rc",),
    categories=("all",),
    subresources=(Subresource("scale", ("get", "patch", "update"), ScaleObject), status()),
    scale=Scale(
        selector=lambda obj: str(labels.from_set(obj.spec.selector)),
        status_replicas=lambda obj: obj.status.replicas,
    ),
    default_orphan=True,
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate,
    validate_status=validate_status,
    warnings=warnings,
    generation=spec_changed,
    columns=(
        *columns.REPLICAS,
        *columns.containers(_containers),
        columns.selector(labels.format_labels),
    ),
    selectable={"status.replicas": lambda obj: str(obj.status.replicas)},
)
