"""Types of podtemplate: see the API reference, core/v1."""

from __future__ import annotations

import operator

from trireme.api import columns
from trireme.api.core.v1.pod import defaults as pod_defaults
from trireme.api.core.v1.pod import prepare as pod_prepare
from trireme.api.core.v1.pod import warnings as pod_warnings
from trireme.api.core.v1.pod.rules import template
from trireme.api.core.v1.pod.template import PodTemplateSpec
from trireme.api.rules import Errors
from trireme.machinery import field, labels, meta
from trireme.machinery.resource import Column, Resource
from trireme.machinery.types import Struct, always, constant


class PodTemplate(Struct):
    kind: str = constant("PodTemplate")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    template: PodTemplateSpec = always(PodTemplateSpec)


def defaults(obj: PodTemplate) -> None:
    """Those of the template."""
    pod_defaults.template(obj.template)


def prepare_create(new: PodTemplate) -> None:
    """Fields of features that are off are dropped from the template."""
    pod_prepare.drop_disabled(new.template.spec, None)


def prepare_update(new: PodTemplate, old: PodTemplate) -> None:
    """As on create, unless the old template has them."""
    pod_prepare.drop_disabled(new.template.spec, old.template.spec)


def validate(new: PodTemplate) -> Errors:
    """The template."""
    errs: Errors = []
    template.validate(errs, field.path("template"), new.template)
    return errs


def warnings(new: PodTemplate, old: PodTemplate | None) -> list[str]:
    """Those of the template."""
    if not pod_warnings.is_other(new, old):
        return []
    return pod_warnings.template(field.path("template"), new.template)


def changed(new: PodTemplate, old: PodTemplate) -> bool:
    """The generation counts the template."""
    return new.template != old.template


RESOURCE = Resource(
    type=PodTemplate,
    plural="podtemplates",
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate,
    warnings=warnings,
    generation=changed,
    returns_deleted=True,
    columns=(
        columns.NAME,
        *columns.containers(operator.attrgetter("template.spec.containers"), priority=0),
        Column(
            "Pod Labels",
            lambda obj: labels.format_labels(obj.template.metadata.labels),
            "The labels of pods made from it.",
        ),
    ),
)
