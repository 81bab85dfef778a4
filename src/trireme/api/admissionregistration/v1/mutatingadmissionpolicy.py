"""Types of mutatingadmissionpolicy: see the API reference, admissionregistration/v1."""

from __future__ import annotations

from typing import Any

from trireme.api import columns
from trireme.api.admissionregistration.v1 import policy_rules
from trireme.api.admissionregistration.v1.mutatingadmissionpolicy_types import (
    MutatingAdmissionPolicy,
)
from trireme.machinery.resource import Column, Resource, spec_changed

COLUMNS = (
    columns.NAME,
    Column("Mutations", "integer", description="How many expressions change."),
    Column("ParamKind", description="The kind of the policy's parameters."),
    columns.AGE,
)


def row(obj: MutatingAdmissionPolicy, now: float) -> list[Any]:
    """The cells of one MutatingAdmissionPolicy."""
    return [
        obj.metadata.name,
        len(obj.spec.mutations),
        policy_rules.param_kind(obj),
        columns.age(obj.metadata, now),
    ]


RESOURCE = Resource(
    type=MutatingAdmissionPolicy,
    plural="mutatingadmissionpolicies",
    categories=("api-extensions",),
    namespaced=False,
    defaults=policy_rules.defaults,
    validate=policy_rules.validate_mutating,
    validate_update=policy_rules.validate_mutating,
    warnings=policy_rules.warnings,
    unconditional_update=False,
    generation=spec_changed,
    columns=COLUMNS,
    row=row,
)
