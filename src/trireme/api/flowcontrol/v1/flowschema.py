"""FlowSchema: which requests belong to which priority level, and what distinguishes their flows.

In: FlowSchemas. Called by: the write path, server-side printing. Upstream:
pkg/registry/flowcontrol/flowschema.
"""

from __future__ import annotations

from trireme.api import columns, metadata
from trireme.api.flowcontrol.v1 import conditions, flowschema_rules
from trireme.api.flowcontrol.v1.flowschema_types import FlowSchema
from trireme.api.rules import Errors
from trireme.machinery.resource import Column, Resource, spec_changed, status


def validate_update(new: FlowSchema, _old: FlowSchema) -> Errors:
    """As on create."""
    return flowschema_rules.validate(new)


def validate_status(new: FlowSchema, _old: FlowSchema) -> Errors:
    """Each condition once."""
    errs: Errors = []
    conditions.check(errs, new.status.conditions)
    return errs


RESOURCE = Resource(
    type=FlowSchema,
    plural="flowschemas",
    namespaced=False,
    subresources=(status(),),
    reset_fields={"status": ("metadata", "spec")},
    validate=flowschema_rules.validate,
    validate_update=validate_update,
    prepare_status=metadata.prepare_status,
    validate_status=validate_status,
    generation=spec_changed,
    columns=(
        columns.NAME,
        Column("PriorityLevel", "spec.priorityLevelConfiguration.name", "Where its requests go."),
        Column("MatchingPrecedence", "spec.matchingPrecedence", "Which schema wins: the lowest."),
        Column(
            "DistinguisherMethod",
            lambda obj: (
                columns.NONE
                if obj.spec.distinguisherMethod is None
                else obj.spec.distinguisherMethod.type
            ),
            "What tells the flows in it apart.",
        ),
        columns.AGE,
        Column(
            "MissingPL",
            lambda obj: next(
                (item.status for item in obj.status.conditions if item.type == "Dangling"), "?"
            ),
            "Whether its priority level is not there.",
        ),
    ),
)
