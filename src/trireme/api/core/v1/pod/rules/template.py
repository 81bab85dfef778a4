"""Templates of pods, in the kinds that make pods.

In: a PodTemplateSpec and, where the kind has one, its selector. Out: errors on the list given.
Called by: the rules of apps and batch kinds. Upstream: pkg/apis/core/validation, pkg/apis/apps.
"""

from __future__ import annotations

from trireme.api import metadata, rules
from trireme.api.core.v1.pod.rules import annotations as notes
from trireme.api.core.v1.pod.rules import spec
from trireme.api.core.v1.pod.template import PodTemplateSpec
from trireme.api.rules import Errors
from trireme.machinery import field, labels
from trireme.machinery.field import Path
from trireme.machinery.meta import LabelSelector


def validate(errs: Errors, at: Path, template: PodTemplateSpec) -> None:
    """A template of any kind."""
    meta = template.metadata
    # Upstream reports these without "metadata" in the path.
    rules.labels(errs, at.child("labels"), meta.labels)
    if meta.annotations:
        here = at.child("annotations")
        errs += metadata.validate_annotations(meta.annotations, here)
        notes.known(errs, here, meta.annotations, template.spec)
    spec.validate(errs, at.child("spec"), template.spec, is_pod=False)
    notes.agree(errs, at.child("spec"), meta.annotations, template.spec)
    if template.spec.ephemeralContainers:
        where = at.child("spec", "ephemeralContainers")
        detail = "ephemeral containers not allowed in pod template"
        errs.append(field.forbidden(where, detail))


def selected(
    errs: Errors, at: Path, template: PodTemplateSpec, selector: LabelSelector | None
) -> None:
    """``selector`` and ``template`` below ``at``, of a kind whose pods run until deleted."""
    where = at.child("selector")
    if selector is None:
        errs.append(field.required(where))
    else:
        rules.label_selector(errs, where, selector)
        if not selector.matchLabels and not selector.matchExpressions:
            # Upstream's words for every kind.
            detail = "empty selector is invalid for deployment"
            errs.append(field.invalid(where, selector, detail))
    try:
        parsed = labels.from_struct(selector)
    except ValueError:
        errs.append(field.invalid(where, selector, "invalid label selector"))
        return
    here = at.child("template")
    if not parsed.empty() and not parsed.matches(template.metadata.labels):
        detail = "`selector` does not match template `labels`"
        bad_value = template.metadata.labels or None
        errs.append(field.invalid(here.child("metadata", "labels"), bad_value, detail))
    validate(errs, here, template)
    always_restarts(errs, here, template, "ReplicaSet")


def always_restarts(errs: Errors, at: Path, template: PodTemplateSpec, kind: str) -> None:
    """The restart policy is Always."""
    if template.spec.restartPolicy != "Always":
        where = at.child("spec", "restartPolicy")
        errs.append(field.not_supported(where, template.spec.restartPolicy, ("Always",)))
    if template.spec.activeDeadlineSeconds is not None:
        where = at.child("spec", "activeDeadlineSeconds")
        detail = f"activeDeadlineSeconds in {kind} is not Supported"
        errs.append(field.forbidden(where, detail))
