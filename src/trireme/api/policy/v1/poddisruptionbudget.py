"""Types of poddisruptionbudget: see the API reference, policy/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api import columns, rules
from trireme.api.rules import Errors
from trireme.machinery import field, meta
from trireme.machinery.resource import Column, Resource, spec_changed, status
from trireme.machinery.types import (
    Enum,
    Int32,
    Int64,
    IntOrString,
    Merge,
    Replace,
    Struct,
    Time,
    always,
    constant,
    listmap,
)

UnhealthyPodEvictionPolicyType = Annotated[
    str,
    Enum(
        (
            "AlwaysAllow",
            "IfHealthyBudget",
        )
    ),
]


class PodDisruptionBudgetSpec(Struct):
    minAvailable: IntOrString | None = None
    selector: Annotated[meta.LabelSelector | None, Replace()] = None
    maxUnavailable: IntOrString | None = None
    unhealthyPodEvictionPolicy: UnhealthyPodEvictionPolicyType | None = None


class PodDisruptionBudgetStatus(Struct):
    observedGeneration: Int64 = 0
    disruptedPods: dict[str, Time] = {}
    disruptionsAllowed: Int32 = always(int)
    currentHealthy: Int32 = always(int)
    desiredHealthy: Int32 = always(int)
    expectedPods: Int32 = always(int)
    conditions: Annotated[list[meta.Condition], listmap("type"), Merge("type")] = []


class PodDisruptionBudget(Struct):
    kind: str = constant("PodDisruptionBudget")
    apiVersion: str = constant("policy/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: PodDisruptionBudgetSpec = always(PodDisruptionBudgetSpec)
    status: PodDisruptionBudgetStatus = always(PodDisruptionBudgetStatus)


_COUNTS = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")


def validate(new: PodDisruptionBudget) -> Errors:
    """At most one of the two bounds."""
    errs: Errors = []
    spec, at = new.spec, field.path("spec")
    if spec.minAvailable is not None and spec.maxUnavailable is not None:
        detail = "minAvailable and maxUnavailable cannot be both set"
        errs.append(field.invalid(at, spec, detail))
    for name in ("minAvailable", "maxUnavailable"):
        bound = getattr(spec, name)
        if bound is not None:
            rules.percentage_or_count(errs, at, name, bound)
            rules.at_most_all(errs, at, name, bound)
    rules.label_selector(errs, at.child("selector"), spec.selector)
    rules.declared(errs, at, spec, "unhealthyPodEvictionPolicy")
    return errs


def validate_status(new: PodDisruptionBudget, _old: PodDisruptionBudget) -> Errors:
    """Conditions, and counts of 0 or more."""
    errs: Errors = []
    at = field.path("status")
    rules.conditions(errs, at.child("conditions"), new.status.conditions)
    for name in _COUNTS:
        rules.not_negative(errs, at, name, getattr(new.status, name))
    return errs


def _bound(value: int | str | None) -> str:
    return "N/A" if value is None else str(value)


RESOURCE = Resource(
    type=PodDisruptionBudget,
    plural="poddisruptionbudgets",
    short_names=("pdb",),
    name_errors=lambda _name: [],
    subresources=(status(),),
    validate=validate,
    validate_status=validate_status,
    unconditional_update=False,
    generation=spec_changed,
    columns=(
        columns.NAME,
        Column(
            "Min Available",
            lambda obj: _bound(obj.spec.minAvailable),
            "How many pods must stay available.",
        ),
        Column(
            "Max Unavailable",
            lambda obj: _bound(obj.spec.maxUnavailable),
            "How many pods may be unavailable.",
        ),
        Column(
            "Allowed Disruptions",
            "status.disruptionsAllowed",
            "How many pods may be evicted now.",
            type="integer",
        ),
        columns.AGE,
    ),
)
