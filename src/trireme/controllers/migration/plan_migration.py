"""What the next step of the migrations of a resource is. Pure.

Called by ``migrator``. Upstream: pkg/controller/storageversionmigrator; KEP-4192.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from trireme.api.storagemigration.v1beta1.storageversionmigration import (
    StorageVersionMigration,
)
from trireme.machinery import meta, time

RUNNING, SUCCEEDED, FAILED = "Running", "Succeeded", "Failed"
# Verbs without which a resource cannot be migrated, as upstream says them.
VERBS: Final = ("update", "patch", "list")
# Seconds in which a new resource may not be served yet.
PATIENCE: Final = 60.0
MIGRATING: Final = "StorageMigrating"


class Finish(msgspec.Struct, frozen=True):
    """It has ended: its CustomResourceDefinition says so, and it runs no longer."""

    migration: StorageVersionMigration


class Begin(msgspec.Struct, frozen=True):
    """It is the next one."""

    migration: StorageVersionMigration


class Advance(msgspec.Struct, frozen=True):
    """It runs: note the revision up to which objects are old, or migrate those."""

    migration: StorageVersionMigration


Step = Finish | Begin | Advance


def plan(found: Iterable[StorageVersionMigration]) -> list[Step]:
    """The steps for the migrations of one resource: one runs at a time, the oldest first."""
    steps: list[Step] = []
    waiting: list[StorageVersionMigration] = []
    running: StorageVersionMigration | None = None
    for item in found:
        ended = is_true(item, SUCCEEDED) or is_true(item, FAILED)
        if is_true(item, RUNNING):
            if ended:
                steps.append(Finish(item))
            else:
                running = item
        elif not ended:
            waiting.append(item)
    if running is not None:
        steps.append(Advance(running))
    elif waiting:
        order = lambda m: (m.metadata.creationTimestamp or "", m.metadata.name)  # noqa: E731
        steps.append(Begin(min(waiting, key=order)))
    return steps


def is_true(item: StorageVersionMigration, kind: str) -> bool:
    """Whether the condition of that type is True."""
    return any(c.type == kind and c.status == "True" for c in item.status.conditions)


def with_condition(
    item: StorageVersionMigration, kind: str, status: str, reason: str, message: str, now: float
) -> StorageVersionMigration:
    """The migration with the condition, as it is to be written."""
    made = meta.Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        lastTransitionTime=time.format(now),
        observedGeneration=item.metadata.generation if status == "False" else 0,
    )
    others = [c for c in item.status.conditions if c.type != kind]
    changed = msgspec.structs.replace(item.status, conditions=[*others, made])
    return msgspec.structs.replace(item, status=changed)


def is_old(revision: str, checkpoint: str) -> bool:
    """Whether an object of this revision was stored before the migration began."""
    return int(revision or 0) <= int(checkpoint)


def begun(crd: Any, name: str, now: float) -> dict[str, Any]:
    """The status of a CustomResourceDefinition whose objects are being migrated."""
    return _applied(crd, "True", "MigrationRunning", f"Migration {name} is running", now)


def ended(crd: Any, succeeded: bool, now: float) -> dict[str, Any]:
    """The same when it is done: only the version in which objects are stored is left, unless the
    definition was changed meanwhile."""
    same = any(
        item.type == MIGRATING and item.observedGeneration == crd.metadata.generation
        for item in crd.status.conditions
    )
    if not succeeded:
        reason, text = "MigrationFailed", "The migration has failed"
    elif same:
        reason = "MigrationSucceeded"
        text = "The migration has succeeded and the stored versions have been updated"
    else:
        reason = "MigrationSucceeded"
        text = (
            "The migration has succeeded but the stored versions have not been updated due to a "
            "generation mismatch"
        )
    desired = _applied(crd, "False", reason, text, now)
    if same:
        stored = [version.name for version in crd.spec.versions if version.storage]
        desired["status"]["storedVersions"] = stored[:1]
    return desired


def _applied(crd: Any, status: str, reason: str, message: str, now: float) -> dict[str, Any]:
    condition = {
        "type": MIGRATING,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": time.format(now),
        "observedGeneration": crd.metadata.generation,
    }
    # With its revision: what it says of the definition's generation is to be true.
    place = {"name": crd.metadata.name, "resourceVersion": crd.metadata.resourceVersion}
    return {
        "apiVersion": crd.apiVersion,
        "kind": crd.kind,
        "metadata": place,
        "status": {"conditions": [condition]},
    }
