"""What a definition's status should be. Pure.

In: a definition, the names that others of its group have, the time. Out: whether the status has
changed. Upstream: pkg/controller/status, establish, apiapproval, nonstructuralschema.
"""

from __future__ import annotations

import copy

import msgspec

from trireme.api.apiextensions.schema import check, structural
from trireme.api.apiextensions.schema.structural import NotStructural
from trireme.api.apiextensions.v1 import types
from trireme.api.apiextensions.v1.rules import approval, conversion
from trireme.api.apiextensions.v1.types import (
    CustomResourceDefinition,
    CustomResourceDefinitionCondition,
    CustomResourceDefinitionNames,
)
from trireme.machinery import field, gotext

_APPROVAL = {
    approval.MISSING: ("False", "MissingAnnotation"),
    approval.INVALID: ("False", "InvalidAnnotation"),
    approval.BYPASSED: ("False", "UnapprovedAnnotation"),
    approval.APPROVED: ("True", "ApprovedAnnotation"),
}


def sync_status(
    obj: CustomResourceDefinition, resources: set[str], kinds: set[str], now: str
) -> bool:
    """Bring ``obj.status`` to what it should be; whether that changed anything.

    ``resources`` and ``kinds``: the names that other definitions of the group have.
    """
    before = msgspec.json.encode(obj.status)
    accepted, named = names(obj, resources, kinds)
    obj.status.acceptedNames = accepted
    types.set_condition(obj.status, named, now)
    types.set_condition(obj.status, established(obj, named.status == "True"), now)
    if approval.is_protected(obj.spec.group):
        state, message = approval.state(obj.metadata.annotations)
        status, reason = _APPROVAL[state]
        _set(obj, types.APPROVED, status, reason, message, now)
    _structural(obj, now)
    return msgspec.json.encode(obj.status) != before


def names(
    obj: CustomResourceDefinition, resources: set[str], kinds: set[str]
) -> tuple[CustomResourceDefinitionNames, CustomResourceDefinitionCondition]:
    """The names that the kind gets, and whether those are the ones that it asks for."""
    requested, had = obj.spec.names, obj.status.acceptedNames
    given = copy.copy(had)
    given.categories = requested.categories
    taken = CustomResourceDefinitionCondition(type=types.NAMES_ACCEPTED, status="True")
    taken.reason, taken.message = "NoConflicts", "no conflicts found"

    def refuse(reason: str, message: str) -> None:
        taken.status, taken.reason, taken.message = "False", reason, message

    singles = (
        ("plural", "PluralConflict", resources),
        ("singular", "SingularConflict", resources),
        ("shortNames", "ShortNamesConflict", resources),
        ("kind", "KindConflict", kinds),
        ("listKind", "ListKindConflict", kinds),
    )
    for name, reason, used in singles:
        value, own = getattr(requested, name), getattr(had, name)
        if name == "shortNames":
            new = dict.fromkeys(item for item in value if item not in own)
            clashes = [_in_use(item) for item in new if item in used]
            if clashes:
                text = clashes[0] if len(clashes) == 1 else f"[{', '.join(clashes)}]"
                refuse(reason, text)
                continue
        elif value != own and value in used:
            refuse(reason, _in_use(value))
            continue
        setattr(given, name, value)
    return given, taken


def _in_use(name: str) -> str:
    return f"{gotext.quote(name)} is already in use"


def established(obj: CustomResourceDefinition, named: bool) -> CustomResourceDefinitionCondition:
    """Once established, a definition stays so."""
    if types.is_true(obj.status, types.ESTABLISHED):
        found = types.condition(obj.status, types.ESTABLISHED)
        assert found is not None
        return found
    condition = CustomResourceDefinitionCondition(type=types.ESTABLISHED, status="False")
    if not named:
        condition.reason, condition.message = "NotAccepted", "not all names are accepted"
    elif not _authority_is_good(obj):
        condition.reason = "InvalidCABundle"
        condition.message = "The conversion webhook CABundle is invalid"
    else:
        condition.status, condition.reason = "True", "InitialNamesAccepted"
        condition.message = "the initial names have been accepted"
    return condition


def _authority_is_good(obj: CustomResourceDefinition) -> bool:
    webhook = None if obj.spec.conversion is None else obj.spec.conversion.webhook
    if webhook is None or webhook.clientConfig is None:
        return True
    return conversion.is_authority(webhook.clientConfig.caBundle)


def _structural(obj: CustomResourceDefinition, now: str) -> None:
    """Only a definition that preserves unknown fields can have another schema at all."""
    violations: list[str] = []
    if obj.spec.preserveUnknownFields:
        at = field.path("spec", "preserveUnknownFields")
        violations.append(str(field.invalid(at, True, "must be false")))
    for position, version in enumerate(obj.spec.versions if violations else ()):
        schema = types.schema_of(version)
        if schema is None:
            continue
        at = field.path("spec", "versions").index(position).child("schema", "openAPIV3Schema")
        try:
            tree = structural.of(msgspec.to_builtins(schema))
        except NotStructural as problem:
            violations.append(f"{at}: {problem}")
        else:
            violations += [str(error) for error in check.validate(tree, at)]
    if violations:
        text = violations[0] if len(violations) == 1 else f"[{', '.join(violations)}]"
        _set(obj, types.NON_STRUCTURAL, "True", "Violations", text, now)
    elif types.condition(obj.status, types.NON_STRUCTURAL) is not None:
        kept = obj.status.conditions or []
        obj.status.conditions = [item for item in kept if item.type != types.NON_STRUCTURAL]


def terminating(
    obj: CustomResourceDefinition, status: str, reason: str, message: str, now: str
) -> None:
    """How far the deletion of the instances has come."""
    _set(obj, types.TERMINATING, status, reason, message, now)


def _set(
    obj: CustomResourceDefinition, kind: str, status: str, reason: str, message: str, now: str
) -> None:
    condition = CustomResourceDefinitionCondition(
        type=kind, status=status, reason=reason, message=message
    )
    types.set_condition(obj.status, condition, now)
