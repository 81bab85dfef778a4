"""Types of resourceclaim: see the API reference, resource/v1."""

from __future__ import annotations

from trireme.api import columns, rules
from trireme.api.resource.v1 import claim_rules, claim_status_rules
from trireme.api.resource.v1.resourceclaim_types import ResourceClaim
from trireme.api.rules import Errors
from trireme.machinery import field
from trireme.machinery.resource import Column, Resource, status


def defaults(obj: ResourceClaim) -> None:
    """How many devices are requested."""
    claim_rules.defaults(obj.spec.devices)


def validate(new: ResourceClaim) -> Errors:
    """What is claimed."""
    errs: Errors = []
    claim_rules.claim(errs, field.path("spec", "devices"), new.spec.devices)
    return errs


def validate_update(new: ResourceClaim, old: ResourceClaim) -> Errors:
    """The spec stays, and is not validated again."""
    errs: Errors = []
    rules.unchanged(errs, field.path(), "spec", new.spec, old.spec)
    return errs


def _state(obj: ResourceClaim) -> str:
    deleted, states = obj.metadata.deletionTimestamp is not None, []
    if deleted:
        states.append("deleted")
    if obj.status.allocation is not None:
        states.append("allocated")
        if obj.status.reservedFor:
            states.append("reserved")
    elif not deleted:
        states.append("pending")
    return ",".join(states)


RESOURCE = Resource(
    type=ResourceClaim,
    plural="resourceclaims",
    subresources=(status(),),
    reset_fields={"status": ("metadata", "spec")},
    defaults=defaults,
    validate=validate,
    validate_update=validate_update,
    prepare_status=claim_status_rules.prepare,
    validate_status=claim_status_rules.validate,
    returns_deleted=True,
    columns=(
        columns.NAME,
        Column("State", _state, "Whether devices are allocated, and for somebody."),
        columns.AGE,
    ),
)
