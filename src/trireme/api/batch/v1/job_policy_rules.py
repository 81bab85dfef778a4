"""Rules of a job's policies: which failures count, what success is, when pods are replaced.

In: a JobSpec. Out: errors on the list given. Called by ``job_rules``. Upstream:
pkg/apis/batch/validation; https://kubernetes.io/docs/concepts/workloads/controllers/job/.
"""

from __future__ import annotations

from typing import Final

from trireme.api import rules
from trireme.api.batch.v1 import indexes
from trireme.api.batch.v1.job_types import (
    JobSpec,
    PodFailurePolicyOnExitCodesRequirement,
    PodFailurePolicyOnPodConditionsPattern,
    PodFailurePolicyRule,
    SuccessPolicyRule,
)
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import OMITTED, Path

_MOST_RULES: Final = 20
_MOST_EXIT_CODES: Final = 255
_MOST_INDEXES_TEXT: Final = 64 * 1024
_ACTIONS: Final = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS: Final = ("In", "NotIn")
_STATUSES: Final = ("False", "True", "Unknown")
_REPLACEMENTS: Final = ("Failed", "TerminatingOrFailed")


def validate(errs: Errors, at: Path, spec: JobSpec) -> None:
    """The three policies below ``at``, the job's spec."""
    if spec.podFailurePolicy is not None:
        _failure(errs, at.child("podFailurePolicy", "rules"), spec)
    if spec.successPolicy is not None:
        here = at.child("successPolicy")
        if spec.completionMode != "Indexed":
            detail = "requires indexed completion mode"
            errs.append(field.invalid(here, spec.successPolicy, detail))
        else:
            _success(errs, here.child("rules"), spec)
    policy = spec.podReplacementPolicy
    if policy is not None:
        allowed = _REPLACEMENTS if spec.podFailurePolicy is None else ("Failed",)
        rules.one_of(errs, at, "podReplacementPolicy", policy, allowed)


def _supported(values: tuple[str, ...]) -> str:
    return "valid values: [" + " ".join(f'"{value}"' for value in values) + "]"


def _failure(errs: Errors, at: Path, spec: JobSpec) -> None:
    policy, pod = spec.podFailurePolicy, spec.template.spec
    items = (policy.rules if policy is not None else None) or []
    if len(items) > _MOST_RULES:
        errs.append(field.too_many(at, len(items), _MOST_RULES))
    named = {container.name for container in (*pod.containers, *pod.initContainers)}
    for position, item in enumerate(items):
        _failure_rule(errs, at.index(position), spec, item, named)


def _failure_rule(
    errs: Errors, at: Path, spec: JobSpec, item: PodFailurePolicyRule, named: set[str]
) -> None:
    where = at.child("action")
    if not item.action:
        errs.append(field.required(where, _supported(_ACTIONS)))
    elif item.action == "FailIndex":
        if spec.backoffLimitPerIndex is None:
            detail = "requires the backoffLimitPerIndex to be set"
            errs.append(field.invalid(where, item.action, detail))
    elif item.action not in _ACTIONS:
        errs.append(field.not_supported(where, item.action, _ACTIONS))
    codes, conditions = item.onExitCodes, item.onPodConditions
    if codes is not None:
        _exit_codes(errs, at.child("onExitCodes"), codes, named)
    if conditions:
        _conditions(errs, at.child("onPodConditions"), conditions)
    if codes is not None and conditions:
        detail = "specifying both OnExitCodes and OnPodConditions is not supported"
        errs.append(field.invalid(at, OMITTED, detail))
    if codes is None and not conditions:
        detail = "specifying one of OnExitCodes and OnPodConditions is required"
        errs.append(field.invalid(at, OMITTED, detail))


def _conditions(
    errs: Errors, at: Path, items: list[PodFailurePolicyOnPodConditionsPattern]
) -> None:
    if len(items) > _MOST_RULES:
        errs.append(field.too_many(at, len(items), _MOST_RULES))
    for position, item in enumerate(items):
        here = at.index(position)
        rules.syntax(errs, here, "type", item.type, names.is_qualified_name)
        if not item.status:
            errs.append(field.required(here.child("status"), _supported(_STATUSES)))
        else:
            rules.one_of(errs, here, "status", item.status, _STATUSES)


def _exit_codes(
    errs: Errors, at: Path, item: PodFailurePolicyOnExitCodesRequirement, named: set[str]
) -> None:
    if not item.operator:
        errs.append(field.required(at.child("operator"), _supported(_OPERATORS)))
    else:
        rules.declared(errs, at, item, "operator")
    if item.containerName is not None and item.containerName not in named:
        detail = "must be one of the container or initContainer names in the pod template"
        errs.append(field.invalid(at.child("containerName"), item.containerName, detail))
    values, where = item.values or [], at.child("values")
    if not values:
        errs.append(field.invalid(where, item.values, "at least one value is required"))
    elif len(values) > _MOST_EXIT_CODES:
        errs.append(field.too_many(where, len(values), _MOST_EXIT_CODES))
    for position, value in enumerate(values):
        here = where.index(position)
        if item.operator == "In" and value == 0:
            errs.append(field.invalid(here, value, "must not be 0 for the In operator"))
        if value in values[:position]:
            errs.append(field.duplicate(here, value))
    if values != sorted(values):
        errs.append(field.invalid(where, values, "must be ordered"))


def _success(errs: Errors, at: Path, spec: JobSpec) -> None:
    policy = spec.successPolicy
    items = (policy.rules if policy is not None else None) or []
    if not items:
        detail = "at least one rules must be specified when the successPolicy is specified"
        errs.append(field.required(at, detail))
    if len(items) > _MOST_RULES:
        errs.append(field.too_many(at, len(items), _MOST_RULES))
    for position, item in enumerate(items):
        _success_rule(errs, at.index(position), spec.completions or 0, item)


def _success_rule(errs: Errors, at: Path, completions: int, item: SuccessPolicyRule) -> None:
    if item.succeededCount is None and item.succeededIndexes is None:
        detail = "at least one of succeededCount or succeededIndexes must be specified"
        errs.append(field.required(at, detail))
    total = 0
    if item.succeededIndexes is not None:
        where = at.child("succeededIndexes")
        if len(item.succeededIndexes) > _MOST_INDEXES_TEXT:
            errs.append(field.too_long(where, _MOST_INDEXES_TEXT))
        try:
            total = indexes.count(item.succeededIndexes, completions)
        except ValueError as problem:
            detail = f"error parsing succeededIndexes: {problem}"
            errs.append(field.invalid(where, item.succeededIndexes, detail))
    count = item.succeededCount
    if count is None:
        return
    where = at.child("succeededCount")
    rules.not_negative(errs, at, "succeededCount", count)
    if count > completions:
        detail = (
            f"must be less than or equal to {completions} (the number of specified completions)"
        )
        errs.append(field.invalid(where, count, detail))
    if item.succeededIndexes is not None and count > total:
        detail = (
            f"must be less than or equal to {total} (the number of indexes in the specified "
            "succeededIndexes field)"
        )
        errs.append(field.invalid(where, count, detail))
