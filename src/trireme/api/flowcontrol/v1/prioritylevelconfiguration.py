"""PriorityLevelConfiguration: how many requests of a level run at once, and how others wait.

In: PriorityLevelConfigurations. Called by: the write path, server-side printing. Upstream:
pkg/apis/flowcontrol/validation, pkg/registry/flowcontrol/prioritylevelconfiguration.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from trireme.api import columns, metadata
from trireme.api.flowcontrol.v1 import conditions, mandatory
from trireme.api.flowcontrol.v1.prioritylevel_types import (
    ExemptPriorityLevelConfiguration,
    LimitedPriorityLevelConfiguration,
    LimitResponse,
    PriorityLevelConfiguration,
    PriorityLevelConfigurationSpec,
    QueuingConfiguration,
)
from trireme.api.rules import Errors
from trireme.machinery import field
from trireme.machinery.field import Path
from trireme.machinery.resource import Column, Resource, spec_changed, status

# The annotation of v1beta3 for zero shares; it has no effect here.
_ZERO_SHARES: Final = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares"
_MOST_QUEUES: Final = 10_000_000
# Bits of entropy for shuffle sharding.
_HASH_BITS: Final = 60
_NOT_NEGATIVE: Final = "must be a non-negative integer"
_PERCENT: Final = "must be between 0 and 100, inclusive"
_POSITIVE: Final = "must be positive"


def validate(new: PriorityLevelConfiguration) -> Errors:
    """The level's limits; mandatory ones are fixed."""
    errs: Errors = []
    name, spec, at = new.metadata.name, new.spec, field.path("spec")
    if _ZERO_SHARES in new.metadata.annotations:
        detail = f"annotation '{_ZERO_SHARES}' is forbidden"
        errs.append(field.forbidden(field.path("metadata", "annotations"), detail))
    if (name == mandatory.EXEMPT) != (spec.type == "Exempt"):
        detail = "must be 'Exempt' if and only if `name` is 'exempt'"
        errs.append(field.invalid(at.child("type"), spec.type, detail))
    if spec.type == "Exempt":
        if spec.limited is not None:
            detail = "must be nil if the type is not Limited"
            errs.append(field.forbidden(at.child("limited"), detail))
        if spec.exempt is not None:
            _shares(errs, at.child("exempt"), spec.exempt)
    elif spec.type == "Limited":
        if spec.exempt is not None:
            detail = "must be nil if the type is Limited"
            errs.append(field.forbidden(at.child("exempt"), detail))
        if spec.limited is None:
            detail = "must not be empty when type is Limited"
            errs.append(field.required(at.child("limited"), detail))
        else:
            _limited(errs, at.child("limited"), spec.limited)
    else:
        errs.append(field.not_supported(at.child("type"), spec.type, ("Exempt", "Limited")))
    _fixed(errs, at, name, spec)
    conditions.check(errs, new.status.conditions)
    return errs


def _fixed(errs: Errors, at: Path, name: str, spec: PriorityLevelConfigurationSpec) -> None:
    fixed = mandatory.PRIORITY_LEVELS.get(name)
    if fixed is None:
        return
    if name == mandatory.EXEMPT:
        if (spec.type, spec.limited) != (fixed.type, fixed.limited):
            detail = f"spec of '{name}' except the 'spec.exempt' field must equal the fixed value"
            errs.append(field.invalid(at, spec, detail))
    elif spec != fixed:
        errs.append(field.invalid(at, spec, f"spec of '{name}' must equal the fixed value"))


def _shares(
    errs: Errors,
    at: Path,
    value: ExemptPriorityLevelConfiguration | LimitedPriorityLevelConfiguration,
) -> None:
    shares = value.nominalConcurrencyShares
    if shares is not None and shares < 0:
        errs.append(field.invalid(at.child("nominalConcurrencyShares"), shares, _NOT_NEGATIVE))
    if isinstance(value, LimitedPriorityLevelConfiguration):
        _response(errs, at.child("limitResponse"), value.limitResponse)
    lent = value.lendablePercent
    if lent is not None and not 0 <= lent <= 100:
        errs.append(field.invalid(at.child("lendablePercent"), lent, _PERCENT))


def _limited(errs: Errors, at: Path, value: LimitedPriorityLevelConfiguration) -> None:
    _shares(errs, at, value)
    borrowed = value.borrowingLimitPercent
    if borrowed is not None and borrowed < 0:
        detail = f"if specified, {_NOT_NEGATIVE}"
        errs.append(field.invalid(at.child("borrowingLimitPercent"), borrowed, detail))


def _response(errs: Errors, at: Path, value: LimitResponse) -> None:
    where = at.child("queuing")
    if value.type == "Reject":
        if value.queuing is not None:
            detail = "must be nil if limited.limitResponse.type is not Limited"
            errs.append(field.forbidden(where, detail))
    elif value.type == "Queue":
        if value.queuing is None:
            detail = "must not be empty if limited.limitResponse.type is Limited"
            errs.append(field.required(where, detail))
        else:
            _queuing(errs, where, value.queuing)
    else:
        errs.append(field.not_supported(at.child("type"), value.type, ("Queue", "Reject")))


def _queuing(errs: Errors, at: Path, value: QueuingConfiguration) -> None:
    if value.queueLengthLimit <= 0:
        errs.append(field.invalid(at.child("queueLengthLimit"), value.queueLengthLimit, _POSITIVE))
    queues, hand = value.queues, value.handSize
    if queues <= 0:
        errs.append(field.invalid(at.child("queues"), queues, _POSITIVE))
    elif queues > _MOST_QUEUES:
        detail = f"must not be greater than {_MOST_QUEUES}"
        errs.append(field.invalid(at.child("queues"), queues, detail))
    where = at.child("handSize")
    if hand <= 0:
        errs.append(field.invalid(where, hand, _POSITIVE))
    elif hand > queues:
        errs.append(field.invalid(where, hand, f"should not be greater than queues ({queues})"))
    elif math.ceil(math.log2(queues) * hand) > _HASH_BITS:
        detail = (
            f"required entropy bits of deckSize {queues} and handSize {hand} "
            f"should not be greater than {_HASH_BITS}"
        )
        errs.append(field.invalid(where, hand, detail))


def validate_status(new: PriorityLevelConfiguration, _old: PriorityLevelConfiguration) -> Errors:
    """Each condition once."""
    errs: Errors = []
    conditions.check(errs, new.status.conditions)
    return errs


def _queuing_cell(name: str) -> Callable[[PriorityLevelConfiguration], Any]:
    """The cell of a field of ``limited.limitResponse.queuing``."""

    def cell(obj: PriorityLevelConfiguration) -> Any:
        queuing = None if obj.spec.limited is None else obj.spec.limited.limitResponse.queuing
        return None if queuing is None else getattr(queuing, name)

    return cell


def _shares_cell(obj: PriorityLevelConfiguration) -> int | None:
    return None if obj.spec.limited is None else obj.spec.limited.nominalConcurrencyShares or 0


RESOURCE = Resource(
    type=PriorityLevelConfiguration,
    plural="prioritylevelconfigurations",
    namespaced=False,
    subresources=(status(),),
    reset_fields={"status": ("spec", "metadata")},
    validate=validate,
    prepare_status=metadata.prepare_status,
    validate_status=validate_status,
    generation=spec_changed,
    columns=(
        columns.NAME,
        Column("Type", "spec.type", "Whether the level is limited."),
        Column(
            "NominalConcurrencyShares",
            _shares_cell,
            "Its part of the server's concurrency.",
            unset=columns.NONE,
        ),
        Column(
            "Queues",
            _queuing_cell("queues"),
            "How many queues requests wait in.",
            unset=columns.NONE,
        ),
        Column(
            "HandSize",
            _queuing_cell("handSize"),
            "How many of them a flow may use.",
            unset=columns.NONE,
        ),
        Column(
            "QueueLengthLimit",
            _queuing_cell("queueLengthLimit"),
            "How many requests may wait in one.",
            unset=columns.NONE,
        ),
        columns.AGE,
    ),
)
