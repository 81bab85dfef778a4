"""Types of conditions, and their rules, that both kinds of flowcontrol/v1 have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from trireme.api import rules
from trireme.api.rules import Errors
from trireme.machinery import field
from trireme.machinery.types import Struct, Time, null


class FlowSchemaCondition(Struct):
    type: str = ""
    status: str = ""
    lastTransitionTime: Time | None = null()
    reason: str = ""
    message: str = ""


class PriorityLevelConfigurationCondition(Struct):
    type: str = ""
    status: str = ""
    lastTransitionTime: Time | None = null()
    reason: str = ""
    message: str = ""


class _Condition(Protocol):
    type: str


def check(errs: Errors, items: Sequence[_Condition]) -> None:
    """``status.conditions``: each type once."""
    at = field.path("status", "conditions")
    used: set[str] = set()
    for position, item in enumerate(items):
        here = at.index(position)
        if item.type in used:
            errs.append(field.duplicate(here.child("type"), item.type))
        used.add(item.type)
        rules.required(errs, here, "type", item.type)
