"""Counts of pods in the status of a workload: what must hold between them.

In: a status. Out: errors on the list given. Called by the kinds of this folder. Upstream:
pkg/apis/apps/validation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trireme.api import rules
from trireme.api.rules import Errors
from trireme.machinery import field, intstr


def validate_counts(errs: Errors, status: Any, names: Iterable[str], parts: Iterable[str]) -> None:
    """``names`` are 0 or more, ``parts`` no more than all replicas, available ones are ready."""
    at = field.path("status")
    for name in names:
        rules.not_negative(errs, at, name, getattr(status, name) or 0)
    for name in parts:
        count = getattr(status, name)
        if count > status.replicas:
            detail = "cannot be greater than status.replicas"
            errs.append(field.invalid(at.child(name), count, detail))
    if status.availableReplicas > status.readyReplicas:
        where, detail = at.child("availableReplicas"), "cannot be greater than readyReplicas"
        errs.append(field.invalid(where, status.availableReplicas, detail))


def not_decremented(errs: Errors, new: int | None, old: int | None) -> None:
    """The count of hash collisions only grows."""
    if (new or 0) < (old or 0):
        where = field.path("status", "collisionCount")
        errs.append(field.invalid(where, new or 0, "cannot be decremented"))


def is_zero(value: int | str) -> bool:
    """Is a count or a percentage of pods none at all?"""
    if isinstance(value, str):
        count = intstr.percent(value) if intstr.is_percent(value) else intstr.number(value)
        return count == 0
    return value == 0
