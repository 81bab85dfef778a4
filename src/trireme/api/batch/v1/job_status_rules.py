"""Rules of a job's status: what a controller may write, and what it may not revert.

In: the new and the stored Job. Out: field errors in upstream's order. A rule is applied only where
the fields that it speaks of change, so that a status which broke it before can still be written.
Called by ``job``. Upstream: pkg/apis/batch/validation, pkg/registry/batch/job.
"""

from __future__ import annotations

from typing import Final

from trireme.api import rules
from trireme.api.batch.v1 import indexes
from trireme.api.batch.v1.job_types import Job, JobStatus
from trireme.api.rules import Errors
from trireme.machinery import field, time
from trireme.machinery.field import OMITTED, Path

_STATUS: Final = field.path("status")
_CONDITIONS: Final = _STATUS.child("conditions")


def validate(new: Job, old: Job) -> Errors:
    """A write to ``/status``."""
    errs: Errors = []
    now, was = _View(new.status), _View(old.status)
    _counts(errs, new.status)
    _finished(errs, new, old, now, was)
    _indexes(errs, new, old)
    _running(errs, new, now, was)
    _success(errs, new, now)
    _removed_conditions(errs, new, old, now, was)
    return errs


class _View:
    """A status by its conditions."""

    def __init__(self, status: JobStatus) -> None:
        self.status = status
        self.true = {item.type for item in status.conditions if item.status == "True"}
        self.false = {item.type for item in status.conditions if item.status == "False"}
        self.complete, self.failed = "Complete" in self.true, "Failed" in self.true
        self.finished = self.complete or self.failed
        self.target = "FailureTarget" in self.true
        self.met = "SuccessCriteriaMet" in self.true


def _bad(errs: Errors, detail: str) -> None:
    errs.append(field.invalid(_CONDITIONS, OMITTED, detail))


def _counts(errs: Errors, status: JobStatus) -> None:
    for name in ("active", "succeeded", "failed", "ready", "terminating"):
        rules.not_negative(errs, _STATUS, name, getattr(status, name) or 0)
    pods = status.uncountedTerminatedPods
    if pods is None:
        return
    used: set[str] = set()
    for name in ("succeeded", "failed"):
        at = _STATUS.child("uncountedTerminatedPods", name)
        _uids(errs, at, getattr(pods, name), used)


def _uids(errs: Errors, at: Path, uids: list[str], used: set[str]) -> None:
    for position, uid in enumerate(uids):
        if not uid:
            errs.append(field.invalid(at.index(position), uid, "must not be empty"))
        elif uid in used:
            errs.append(field.duplicate(at.index(position), uid))
        used.add(uid)


def _finished(errs: Errors, new: Job, old: Job, now: _View, was: _View) -> None:
    status, before = new.status, old.status
    ended = now.finished != was.finished
    complete, failed = now.complete != was.complete, now.failed != was.failed
    started = status.startTime != before.startTime
    stopped = status.completionTime != before.completionTime
    if (complete or failed) and now.complete and now.failed:
        _bad(errs, "cannot set Complete=True and Failed=true conditions")
    if (complete or now.target != was.target) and now.complete and now.target:
        _bad(errs, "cannot set Complete=True and FailureTarget=true conditions")
    end, where = status.completionTime, _STATUS.child("completionTime")
    if (complete or stopped) and end is not None and not now.complete:
        detail = "cannot set completionTime when there is no Complete=True condition"
        errs.append(field.invalid(where, end, detail))
    if (complete or stopped) and end is None and now.complete:
        errs.append(field.required(where, "completionTime is required for Complete jobs"))
    start = status.startTime
    if (started or stopped) and _before(end, start):
        errs.append(field.invalid(where, end, "must be equal to or after `startTime`"))
    if (failed or status.failedIndexes != before.failedIndexes) and now.failed and not now.target:
        _bad(errs, "cannot set Failed=True condition without the FailureTarget=true condition")
    if (complete or now.met != was.met) and now.complete and not now.met:
        detail = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"
        _bad(errs, detail)
    if (ended or status.active != before.active) and status.active > 0 and now.finished:
        detail = "active>0 is invalid for finished job"
        errs.append(field.invalid(_STATUS.child("active"), status.active, detail))
    never_ran = new.spec.suspend is True and new.spec.completions == 0
    if (ended or started) and not never_ran and start is None and now.finished:
        detail = "startTime is required for finished job"
        errs.append(field.required(_STATUS.child("startTime"), detail))
    pods = status.uncountedTerminatedPods
    counted = pods is None or not (pods.failed or pods.succeeded)
    if (ended or pods != before.uncountedTerminatedPods) and now.finished and not counted:
        detail = "must be empty for finished job"
        errs.append(field.invalid(_STATUS.child("uncountedTerminatedPods"), pods, detail))


def _before(moment: str | None, other: str | None) -> bool:
    return moment is not None and other is not None and time.parse(moment) < time.parse(other)


def _indexes(errs: Errors, new: Job, old: Job) -> None:
    status, spec = new.status, new.spec
    completed, failed = status.completedIndexes, status.failedIndexes
    completed_changed = completed != old.status.completedIndexes
    failed_changed = failed != old.status.failedIndexes
    here, there = _STATUS.child("completedIndexes"), _STATUS.child("failedIndexes")
    if completed_changed and spec.completions is not None:
        _format(errs, here, "completedIndexes", completed, spec.completions)
    per_index = spec.backoffLimitPerIndex is not None
    if failed_changed and spec.completions is not None and per_index and failed is not None:
        _format(errs, there, "failedIndexes", failed, spec.completions)
    if completed_changed and completed and spec.completionMode != "Indexed":
        detail = "cannot set non-empty completedIndexes when non-indexed completion mode"
        errs.append(field.invalid(here, completed, detail))
    if failed_changed and not per_index and failed is not None:
        detail = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        errs.append(field.invalid(there, failed, detail))
    if (failed_changed or completed_changed) and spec.completions is not None and failed:
        both = indexes.overlap(completed, failed, spec.completions)
        if both is not None:
            detail = f"failedIndexes and completedIndexes overlap at index: {both}"
            errs.append(field.invalid(there, failed, detail))


def _format(errs: Errors, at: Path, name: str, text: str, completions: int) -> None:
    try:
        indexes.count(text, completions)
    except ValueError as problem:
        errs.append(field.invalid(at, text, f"error parsing {name}: {problem}"))


def _running(errs: Errors, new: Job, now: _View, was: _View) -> None:
    status, before = new.status, was.status
    ended, terminating = now.finished != was.finished, status.terminating or 0
    changed = ended or status.terminating != before.terminating
    if changed and terminating > 0 and now.finished:
        detail = "terminating>0 is invalid for finished job"
        errs.append(field.invalid(_STATUS.child("terminating"), terminating, detail))
    changed = status.ready != before.ready or status.active != before.active
    if changed and status.ready is not None and status.ready > status.active:
        detail = "cannot set more ready pods than active"
        errs.append(field.invalid(_STATUS.child("ready"), status.ready, detail))


def _success(errs: Errors, new: Job, now: _View) -> None:
    if now.met and now.failed:
        _bad(errs, "cannot set SuccessCriteriaMet=True and Failed=true conditions")
    if now.met and now.target:
        _bad(errs, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions")
    if new.spec.successPolicy is not None and now.complete and not now.met:
        _bad(
            errs,
            "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True",
        )


def _removed_conditions(errs: Errors, new: Job, old: Job, now: _View, was: _View) -> None:
    status, before = new.status, old.status
    for name in ("Failed", "Complete", "FailureTarget"):
        if name in was.true and name not in now.true:
            _bad(errs, f"cannot disable the terminal {name}=True condition")
    if status.failed < before.failed:
        detail = "cannot decrease the failed counter"
        errs.append(field.invalid(_STATUS.child("failed"), status.failed, detail))
    # An indexed job can be scaled down.
    elastic = new.spec.completionMode == "Indexed" and new.spec.completions == new.spec.parallelism
    if not elastic and status.succeeded < before.succeeded:
        detail = "cannot decrease the succeeded counter"
        errs.append(field.invalid(_STATUS.child("succeeded"), status.succeeded, detail))
    if None not in (status.completionTime, before.completionTime):
        rules.unchanged(
            errs, _STATUS, "completionTime", status.completionTime, before.completionTime
        )
    resuming = "Suspended" in was.true and "Suspended" in now.false
    moved = before.startTime is not None and before.startTime != status.startTime
    if moved and not resuming and not new.spec.suspend:
        detail = "field is immutable for unsuspended job once set"
        errs.append(field.invalid(_STATUS.child("startTime"), status.startTime, detail))
    if was.met and not now.met:
        _bad(errs, "cannot disable the SuccessCriteriaMet=True condition")
    if was.complete and not was.met and now.met:
        detail = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"
        _bad(errs, detail)
