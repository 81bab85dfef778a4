"""Types of cronjob: see the API reference, batch/v1."""

from __future__ import annotations

import operator
import re
import zoneinfo
from typing import Annotated

from trireme.api import columns, rules
from trireme.api.batch.v1 import job_rules
from trireme.api.batch.v1.job import spec_warnings
from trireme.api.batch.v1.job_types import JobSpec
from trireme.api.core.v1.pod import defaults as pod_defaults
from trireme.api.core.v1.pod import prepare as pod_prepare
from trireme.api.core.v1.pod import warnings as pod_warnings
from trireme.api.core.v1.references import ObjectReference
from trireme.api.rules import Errors
from trireme.machinery import cron, field, labels, meta
from trireme.machinery.field import Path
from trireme.machinery.resource import Column, Resource, spec_changed, status
from trireme.machinery.types import (
    Atomic,
    Default,
    Enum,
    Int32,
    Int64,
    Required,
    Struct,
    Time,
    always,
    constant,
)

ConcurrencyPolicy = Annotated[str, Enum(("Allow", "Forbid", "Replace"))]


class JobTemplateSpec(Struct):
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: JobSpec = always(JobSpec)


class CronJobSpec(Struct):
    schedule: Annotated[str, Required()] = always(str)
    timeZone: str | None = None
    startingDeadlineSeconds: Int64 | None = None
    concurrencyPolicy: Annotated[ConcurrencyPolicy, Default("Allow")] = ""
    suspend: Annotated[bool | None, Default(False)] = None
    jobTemplate: Annotated[JobTemplateSpec, Required()] = always(JobTemplateSpec)
    successfulJobsHistoryLimit: Annotated[Int32 | None, Default(3)] = None
    failedJobsHistoryLimit: Annotated[Int32 | None, Default(1)] = None


class CronJobStatus(Struct):
    active: Annotated[list[ObjectReference], Atomic()] = []
    lastScheduleTime: Time | None = None
    lastSuccessfulTime: Time | None = None


class CronJob(Struct):
    kind: str = constant("CronJob")
    apiVersion: str = constant("batch/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[CronJobSpec, Required()] = always(CronJobSpec)
    status: CronJobStatus = always(CronJobStatus)


# The controller appends 11 characters to the name of each job.
_LONGEST_NAME = 52
_ZONE_PART = re.compile(r"[A-Za-z._0-9+][A-Za-z.\-_0-9+]{0,13}\Z")


def defaults(obj: CronJob) -> None:
    """Those of the pods' template; the job's own are set when it is made."""
    pod_defaults.template(obj.spec.jobTemplate.spec.template)


def prepare_create(new: CronJob) -> None:
    """Fields of features that are off are dropped from the template."""
    pod_prepare.drop_disabled(new.spec.jobTemplate.spec.template.spec, None)


def prepare_update(new: CronJob, old: CronJob) -> None:
    """As on create, unless the old template has them."""
    was = old.spec.jobTemplate.spec.template.spec
    pod_prepare.drop_disabled(new.spec.jobTemplate.spec.template.spec, was)


def warnings(new: CronJob, old: CronJob | None) -> list[str]:
    """Those of jobs; a time zone inside the schedule."""
    found = pod_warnings.named(new.metadata.name) if old is None else []
    if pod_warnings.is_other(new, old):
        found += spec_warnings(field.path("spec", "jobTemplate", "spec"), new.spec.jobTemplate.spec)
    if old is not None and "TZ" in new.spec.schedule:
        found.append(
            "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see "
            "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
        )
    return found


def validate(new: CronJob) -> Errors:
    """A new CronJob."""
    errs = _spec(new.spec, None)
    if len(new.metadata.name) > _LONGEST_NAME:
        where, detail = field.path("metadata", "name"), "must be no more than 52 characters"
        errs.append(field.invalid(where, new.metadata.name, detail))
    return errs


def validate_update(new: CronJob, old: CronJob) -> Errors:
    """As on create; a stored time zone is not validated again."""
    return _spec(new.spec, old.spec)


def _spec(spec: CronJobSpec, old: CronJobSpec | None) -> Errors:
    errs: Errors = []
    at = field.path("spec")
    if not spec.schedule:
        errs.append(field.required(at.child("schedule")))
    else:
        _schedule(errs, at.child("schedule"), spec, old)
    if spec.startingDeadlineSeconds is not None:
        rules.not_negative(errs, at, "startingDeadlineSeconds", spec.startingDeadlineSeconds)
    if spec.timeZone is not None and (old is None or old.timeZone != spec.timeZone):
        _time_zone(errs, at.child("timeZone"), spec.timeZone)
    rules.declared(errs, at, spec, "concurrencyPolicy")
    job_rules.of_template(errs, at.child("jobTemplate", "spec"), spec.jobTemplate.spec)
    for name in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        rules.not_negative(errs, at, name, getattr(spec, name) or 0)
    return errs


def _schedule(errs: Errors, at: Path, spec: CronJobSpec, old: CronJobSpec | None) -> None:
    try:
        cron.parse(spec.schedule)
    except ValueError as problem:
        errs.append(field.invalid(at, spec.schedule, str(problem)))
    if "TZ" not in spec.schedule:
        return
    if old is None or "TZ" not in old.schedule:
        detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        errs.append(field.invalid(at, spec.schedule, detail))
    elif spec.timeZone is not None:
        detail = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        errs.append(field.invalid(at, spec.schedule, detail))


def _time_zone(errs: Errors, at: Path, name: str) -> None:
    if not name:
        errs.append(field.invalid(at, name, "timeZone must be nil or non-empty string"))
        return
    parts = name.split("/")
    if any(part in (".", "..") or not _ZONE_PART.match(part) for part in parts):
        errs.append(field.invalid(at, name, f"unknown time zone {name}"))
        return
    if name.lower() == "local":
        detail = (
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        )
        errs.append(field.invalid(at, name, detail))
    if name not in ("UTC", "Local"):
        try:
            zoneinfo.ZoneInfo(name)
        except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
            errs.append(field.invalid(at, name, f"unknown time zone {name}"))


RESOURCE = Resource(
    type=CronJob,
    plural="cronjobs",
    short_names=("cj",),
    categories=("all",),
    subresources=(status(),),
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    warnings=warnings,
    validate=validate,
    validate_update=validate_update,
    generation=spec_changed,
    columns=(
        columns.NAME,
        Column("Schedule", "spec.schedule", "When jobs are made."),
        Column("Timezone", "spec.timeZone", "The time zone of the schedule.", unset=columns.NONE),
        Column(
            "Suspend",
            lambda obj: None if obj.spec.suspend is None else str(obj.spec.suspend),
            "Whether no more jobs are made.",
            type="boolean",
            unset=columns.UNSET,
        ),
        Column(
            "Active",
            lambda obj: len(obj.status.active),
            "How many of its jobs run.",
            type="integer",
        ),
        Column(
            "Last Schedule",
            columns.ago("status.lastScheduleTime", columns.NONE),
            "How long ago a job was made.",
        ),
        columns.AGE,
        *columns.containers(operator.attrgetter("spec.jobTemplate.spec.template.spec.containers")),
        columns.selector(labels.format_struct, "spec.jobTemplate.spec.selector"),
    ),
)
