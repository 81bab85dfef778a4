"""The conditions of a namespace that is being deleted. Pure.

In: what is left in it, and what failed. Out: conditions in upstream's words. Called by
``namespace``. Upstream: pkg/controller/namespace/deletion;
https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from trireme.api.core.v1.namespace import NamespaceCondition
from trireme.machinery import time

FINALIZER_SECONDS = 15.0


class Left(msgspec.Struct, frozen=True):
    """What is left of one resource after all of it was deleted."""

    resource: str
    count: int
    finalizers: dict[str, int] = {}
    seconds: float = 0.0


class Progress(msgspec.Struct, frozen=True):
    """How far the deletion is. ``failures``: messages, one for each resource that failed."""

    left: list[Left] = []
    failures: list[str] = []
    discovery: str = ""

    @property
    def remaining(self) -> int:
        return sum(item.count for item in self.left)

    @property
    def seconds(self) -> float:
        """A guess at how long it takes until the rest is gone."""
        return max((item.seconds for item in self.left), default=0.0)


_FINE = {
    "NamespaceDeletionDiscoveryFailure": (
        "ResourcesDiscovered",
        "All resources successfully discovered",
    ),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": (
        "ContentHasNoFinalizers",
        "All content-preserving finalizers finished",
    ),
}


def conditions(
    before: list[NamespaceCondition], progress: Progress, now: float
) -> list[NamespaceCondition]:
    """The desired conditions; those that say the same stay as they are."""
    problems = _problems(progress)
    known = {item.type: item for item in before}
    for kind, (reason, message) in _FINE.items():
        status = "False"
        if kind in problems:
            status, (reason, message) = "True", problems[kind]
        old = known.get(kind)
        if old and (old.status, old.reason, old.message) == (status, reason, message):
            continue
        moved = old is None or old.status != status
        known[kind] = NamespaceCondition(
            type=kind,
            status=status,
            lastTransitionTime=time.format(now) if moved or not old else old.lastTransitionTime,
            reason=reason,
            message=message,
        )
    return list(known.values())


def _problems(progress: Progress) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    if progress.discovery:
        found["NamespaceDeletionDiscoveryFailure"] = ("DiscoveryFailed", progress.discovery)
    if progress.failures:
        failed = ", ".join(sorted(progress.failures))
        found["NamespaceDeletionContentFailure"] = (
            "ContentDeletionFailed",
            f"Failed to delete all resource types, {len(progress.failures)} remaining: {failed}",
        )
    left = [item for item in progress.left if item.count]
    if left:
        described = sorted(f"{item.resource} has {item.count} resource instances" for item in left)
        found["NamespaceContentRemaining"] = (
            "SomeResourcesRemain",
            f"Some resources are remaining: {', '.join(described)}",
        )
    finalizers: Counter[str] = Counter()
    for item in left:
        finalizers.update(item.finalizers)
    if finalizers:
        described = sorted(
            f"{name} in {count} resource instances" for name, count in finalizers.items()
        )
        found["NamespaceFinalizersRemaining"] = (
            "SomeFinalizersRemain",
            f"Some content in the namespace has finalizers remaining: {', '.join(described)}",
        )
    return found


def left_of(resource: str, finalizers: list[list[str]], grace: float) -> Left:
    """What is left of a resource, by the finalizers of each object. ``grace``: how long objects of
    this kind may take to end."""
    counts: Counter[str] = Counter(name for item in finalizers for name in item)
    seconds = FINALIZER_SECONDS if counts else grace
    return Left(resource, len(finalizers), dict(counts), seconds if finalizers else 0.0)
