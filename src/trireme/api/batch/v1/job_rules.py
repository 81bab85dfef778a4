"""Rules of jobs: the spec of a new one, and what an update may change.

In: typed objects. Out: field errors in upstream's order. Called by ``job`` and ``cronjob``.
Upstream: pkg/apis/batch/validation;
https://kubernetes.io/docs/concepts/workloads/controllers/job/.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from trireme.api import rules
from trireme.api.batch.v1 import job_policy_rules as policies
from trireme.api.batch.v1.job_types import Job, JobSpec, JobStatus
from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.rules import template
from trireme.api.core.v1.pod.scheduling import Affinity
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.core.v1.pod.template import PodTemplateSpec
from trireme.api.rules import Errors
from trireme.machinery import field, labels, names
from trireme.machinery.field import Path

NAME: Final = "batch.kubernetes.io/job-name"
UID: Final = "batch.kubernetes.io/controller-uid"
LEGACY_NAME: Final = "job-name"
LEGACY_UID: Final = "controller-uid"
_SPEC: Final = field.path("spec")
_MOST_INDEXES: Final = 100_000
# With more completions than _MOST_INDEXES and a limit per index.
_FEWER: Final = 10_000
_MANAGED_BY: Final = 63
_COUNTS: Final = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
)
_FIXED: Final = (
    "completionMode",
    "podFailurePolicy",
    "backoffLimitPerIndex",
    "managedBy",
    "successPolicy",
)


def validate(new: Job) -> Errors:
    """A new job."""
    return _job(new, prefixed=True)


def validate_update(new: Job, old: Job) -> Errors:
    """An update: the template may change only while the job is suspended."""
    old_labels = old.spec.template.metadata.labels
    errs = _job(new, prefixed=NAME in old_labels and UID in old_labels)
    _spec(errs, _SPEC, new.spec)
    _selector(errs, new.spec)
    _completions(errs, new.spec, old.spec)
    rules.unchanged(errs, _SPEC, "selector", new.spec.selector, old.spec.selector)
    _template_update(errs, new, old)
    for name in _FIXED:
        rules.unchanged(errs, _SPEC, name, getattr(new.spec, name), getattr(old.spec, name))
    return errs


def of_template(errs: Errors, at: Path, spec: JobSpec) -> None:
    """The spec of jobs that a CronJob makes: the selector is generated."""
    _spec(errs, at, spec)
    if spec.selector is not None:
        errs.append(
            field.invalid(at.child("selector"), spec.selector, "`selector` will be auto-generated")
        )
    if spec.manualSelector:
        errs.append(field.not_supported(at.child("manualSelector"), True, ("nil", "false")))


def _job(job: Job, *, prefixed: bool) -> Errors:
    errs: Errors = []
    spec = job.spec
    if not spec.manualSelector and spec.selector is not None:
        _generated(errs, job, prefixed)
    _spec(errs, _SPEC, spec)
    _selector(errs, spec)
    if spec.completionMode == "Indexed" and (spec.completions or 0) > 0:
        last = f"{job.metadata.name}-{(spec.completions or 0) - 1}"
        if names.is_dns1123_label(last):
            detail = f"will not able to create pod with invalid DNS label: {last}"
            errs.append(field.invalid(field.path("metadata", "name"), job.metadata.name, detail))
    return errs


def _generated(errs: Errors, job: Job, prefixed: bool) -> None:
    """The template has the labels of the generated selector."""
    meta = job.metadata
    if not meta.uid:
        errs.append(field.required(field.path("metadata", "uid")))
    expected = {LEGACY_UID: meta.uid, LEGACY_NAME: meta.name}
    if prefixed:
        expected |= {UID: meta.uid, NAME: meta.name}
    at = _SPEC.child("template", "metadata", "labels")
    made = job.spec.template.metadata.labels
    for label, text in expected.items():
        if label not in made:
            errs.append(field.required(at.key(label), f"must be '{text}'"))
        elif made[label] != text:
            errs.append(field.invalid(at.key(label), made, f"must be '{text}'"))
    try:
        fits = labels.from_struct(job.spec.selector).matches(expected)
    except ValueError:
        return
    if not fits:
        detail = "`selector` not auto-generated"
        errs.append(field.invalid(_SPEC.child("selector"), job.spec.selector, detail))


def _selector(errs: Errors, spec: JobSpec) -> None:
    at = _SPEC.child("selector")
    if spec.selector is None:
        errs.append(field.required(at))
    else:
        rules.label_selector(errs, at, spec.selector)
    made = spec.template.metadata.labels
    try:
        fits = labels.from_struct(spec.selector).matches(made)
    except ValueError:
        return
    if not fits:
        detail = "`selector` does not match template `labels`"
        where = _SPEC.child("template", "metadata", "labels")
        errs.append(field.invalid(where, made or None, detail))


def _spec(errs: Errors, at: Path, spec: JobSpec) -> None:
    for name in _COUNTS:
        count = getattr(spec, name)
        if count is not None:
            rules.not_negative(errs, at, name, count)
    if spec.maxFailedIndexes is not None:
        rules.not_negative(errs, at, "maxFailedIndexes", spec.maxFailedIndexes)
        if spec.backoffLimitPerIndex is None:
            detail = "when maxFailedIndexes is specified"
            errs.append(field.required(at.child("backoffLimitPerIndex"), detail))
    if spec.managedBy is not None:
        rules.syntax(errs, at, "managedBy", spec.managedBy, names.is_domain_prefixed_path)
        if len(spec.managedBy) > _MANAGED_BY:
            errs.append(field.too_long(at.child("managedBy"), _MANAGED_BY))
    rules.declared(errs, at, spec, "completionMode")
    if spec.completionMode == "Indexed":
        _indexed(errs, at, spec)
    if spec.completionMode in (None, "NonIndexed"):
        for name in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if getattr(spec, name) is not None:
                detail = "requires indexed completion mode"
                errs.append(field.invalid(at.child(name), getattr(spec, name), detail))
    policies.validate(errs, at, spec)
    template.validate(errs, at.child("template"), spec.template)
    _restart_policy(errs, at.child("template", "spec", "restartPolicy"), spec)


def _indexed(errs: Errors, at: Path, spec: JobSpec) -> None:
    completions, parallelism, failed = spec.completions, spec.parallelism, spec.maxFailedIndexes
    if completions is None:
        errs.append(field.required(at.child("completions"), "when completion mode is Indexed"))
    where = at.child("parallelism")
    if parallelism is not None and parallelism > _MOST_INDEXES:
        detail = f"must be less than or equal to {_MOST_INDEXES} when completion mode is Indexed"
        errs.append(field.invalid(where, parallelism, detail))
    here = at.child("maxFailedIndexes")
    if failed is not None:
        if completions is not None and failed > completions:
            errs.append(field.invalid(here, failed, "must be less than or equal to completions"))
        if failed > _MOST_INDEXES:
            detail = f"must be less than or equal to {_MOST_INDEXES}"
            errs.append(field.invalid(here, failed, detail))
    many = completions is not None and completions > _MOST_INDEXES
    if not many or spec.backoffLimitPerIndex is None:
        return
    if failed is None:
        detail = f"must be specified when completions is above {_MOST_INDEXES}"
        errs.append(field.required(here, detail))
    detail = (
        f"must be less than or equal to {_FEWER} when completions are above {_MOST_INDEXES} and "
        "used with backoff limit per index"
    )
    if parallelism is not None and parallelism > _FEWER:
        errs.append(field.invalid(where, parallelism, detail))
    if failed is not None and failed > _FEWER:
        errs.append(field.invalid(here, failed, detail))


def _restart_policy(errs: Errors, at: Path, spec: JobSpec) -> None:
    policy = spec.template.spec.restartPolicy
    if policy in ("", "Always"):
        errs.append(field.required(at, 'valid values: "OnFailure", "Never"'))
    elif policy not in ("OnFailure", "Never"):
        errs.append(field.not_supported(at, policy, ("OnFailure", "Never")))
    elif spec.podFailurePolicy is not None and policy != "Never":
        detail = 'only "Never" is supported when podFailurePolicy is specified'
        errs.append(field.invalid(at, policy, detail))


def _completions(errs: Errors, new: JobSpec, old: JobSpec) -> None:
    if new.completionMode != "Indexed":
        rules.unchanged(errs, _SPEC, "completions", new.completions, old.completions)
    elif new.completions not in (old.completions, None) and new.completions != new.parallelism:
        detail = "can only be modified in tandem with spec.parallelism"
        errs.append(field.invalid(_SPEC.child("completions"), new.completions, detail))


def _template_update(errs: Errors, new: Job, old: Job) -> None:
    """A suspended job without pods may change its scheduling directives and resources."""
    suspended = bool(old.spec.suspend)
    free = suspended and _at_rest(old.status)
    desired, was = new.spec.template, old.spec.template
    if free:
        was = _with_directives(desired, was)
    if not free:
        rules.unchanged(errs, _SPEC, "template", desired, was)
    else:
        pod = _with_resources(desired.spec, was.spec)
        rules.unchanged(errs, _SPEC, "template.spec", desired.spec, pod)


def _at_rest(status: JobStatus) -> bool:
    paused = any(item.type == "Suspended" and item.status == "True" for item in status.conditions)
    return (status.startTime is None or paused) and status.active == 0


def _with_directives(new: PodTemplateSpec, old: PodTemplateSpec) -> PodTemplateSpec:
    """The old template with the new one's scheduling directives, labels and annotations."""
    meta = replace(old.metadata, annotations=new.metadata.annotations, labels=new.metadata.labels)
    spec = replace(
        old.spec,
        affinity=_with_node_affinity(new.spec.affinity, old.spec.affinity),
        nodeSelector=new.spec.nodeSelector,
        tolerations=new.spec.tolerations,
        schedulingGates=new.spec.schedulingGates,
    )
    return replace(old, metadata=meta, spec=spec)


def _with_node_affinity(new: Affinity | None, old: Affinity | None) -> Affinity | None:
    if new is None:
        without = None if old is None else replace(old, nodeAffinity=None)
        return None if without == Affinity() else without
    return replace(old or Affinity(), nodeAffinity=new.nodeAffinity)


def _with_resources(new: PodSpec, old: PodSpec) -> PodSpec:
    return replace(
        old,
        containers=_resized(new.containers, old.containers),
        initContainers=_resized(new.initContainers, old.initContainers),
    )


def _resized(new: list[Container], old: list[Container]) -> list[Container]:
    if len(new) != len(old):
        return old
    return [
        replace(was, resources=desired.resources) if was.name == desired.name else was
        for desired, was in zip(new, old, strict=True)
    ]
