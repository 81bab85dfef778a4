"""Whether an object is deleted, by the state of its owners. Pure.

In: an object's references, each with what is known of its owner. Out: one action. Called by
``garbage``. Rules: upstream pkg/controller/garbagecollector, attemptToDeleteItem;
https://kubernetes.io/docs/concepts/architecture/garbage-collection/#cascading-deletion.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

import msgspec

from trireme.controllers.cleanup.graph import FOREGROUND, ORPHAN
from trireme.machinery.meta import OwnerReference


class Owner(enum.Enum):
    """What is known of an owner."""

    SOLID = "it is there"
    DANGLING = "it is not there, or is another object of that name"
    WAITING = "it is deleted once its dependents are gone"


class Keep(msgspec.Struct, frozen=True):
    """The object stays, with these of its references; None when they stay as they are."""

    owners: list[OwnerReference] | None = None


class Delete(msgspec.Struct, frozen=True):
    """Delete the object with this policy; first give it these references, None for no change."""

    policy: str
    owners: list[OwnerReference] | None = None


def plan_deletion(
    references: Sequence[tuple[OwnerReference, Owner]],
    finalizers: Sequence[str],
    *,
    dependents: bool,
    dependent_waits: bool,
) -> Keep | Delete:
    """``dependents``: it has some; ``dependent_waits``: one of those is itself deleted in the
    foreground, so that waiting for each other could go round in a circle."""
    solid = [item for item, state in references if state is Owner.SOLID]
    waiting = [item for item, state in references if state is Owner.WAITING]
    if not references or len(solid) == len(references):
        return Keep()
    if solid:
        # Otherwise an owner that waits would wait for an object that stays.
        return Keep(solid)
    if waiting and dependents:
        return Delete("Foreground", _unblocked(references) if dependent_waits else None)
    if ORPHAN in finalizers:
        return Delete("Orphan")
    return Delete("Foreground" if FOREGROUND in finalizers else "Background")


def _unblocked(references: Sequence[tuple[OwnerReference, Owner]]) -> list[OwnerReference]:
    """The references, none of which makes its owner wait."""
    return [msgspec.structs.replace(item, blockOwnerDeletion=False) for item, _ in references]
