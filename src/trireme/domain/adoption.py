"""Claims: the objects of an owner to keep, adopt or release. Pure.

In: the owner, its selector, and the objects that could be its own. Out: a ``Claim``. For the
controllers that own pods or ReplicaSets. Upstream: pkg/controller/controller_ref_manager;
https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#how-a-replicaset-works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import msgspec

from trireme.domain import owners
from trireme.machinery.labels import Selector
from trireme.machinery.meta import HasMetadata

T = TypeVar("T", bound=HasMetadata)


class Claim(msgspec.Struct, Generic[T], frozen=True):
    """``kept`` are the owner's already; ``adopt`` match and have no controller; ``release`` are
    the owner's and no longer match."""

    kept: list[T]
    adopt: list[T]
    release: list[T]


def claim(
    owner: Any,
    selector: Selector,
    objects: Iterable[T],
    fits: Callable[[T], bool] = lambda obj: True,
) -> Claim[T]:
    """Sort ``objects``, all of the owner's namespace: its own are those that the selector matches
    and that fit. An owner that is being deleted adopts and releases nothing, and an object that is
    being deleted is not adopted."""
    leaving = owner.metadata.deletionTimestamp is not None
    result: Claim[T] = Claim([], [], [])
    for obj in objects:
        metadata = obj.metadata
        controller = owners.controller_uid(metadata)
        matches = selector.matches(metadata.labels) and fits(obj)
        if controller == owner.metadata.uid:
            if matches:
                result.kept.append(obj)
            elif not leaving:
                result.release.append(obj)
        elif not controller and matches and not leaving and metadata.deletionTimestamp is None:
            result.adopt.append(obj)
    return result
