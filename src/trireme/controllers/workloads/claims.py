"""Execution of a claim: adopting and releasing objects by patches of their owner references.

In: an owner and a ``domain.adoption.Claim``. Out: patches; the objects that the owner has
afterwards. Called by the controllers of workloads. Before the first adoption the
owner is read again, so that no object is given to one that is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from trireme.client.client import Client
from trireme.domain import owners
from trireme.domain.adoption import Claim
from trireme.machinery import errors
from trireme.machinery.meta import HasMetadata

T = TypeVar("T", bound=HasMetadata)


class OwnerGone(errors.ApiError):
    """The owner is deleted, or another object of the same name is there."""

    def __init__(self, owner: Any, detail: str) -> None:
        name = f"{owner.kind} {owner.metadata.namespace}/{owner.metadata.name}"
        super().__init__(409, errors.CONFLICT, f"{name} adopts nothing: {detail}")


async def adopt_and_release(
    client: Client, owner: Any, claim: Claim[T], finalizers: Sequence[str] = ()
) -> list[T]:
    """Adopt and release what the claim says; what is adopted gets the ``finalizers`` too. Raises
    ``OwnerGone``."""
    mine = list(claim.kept)
    for obj in claim.release:
        await _patch(client, obj, [{"$patch": "delete", "uid": owner.metadata.uid}], ())
    if claim.adopt:
        await _check_alive(client, owner)
    for obj in claim.adopt:
        adopted = await _patch(client, obj, [owners.reference(owner)], finalizers)
        if adopted is not None:
            mine.append(adopted)
    return mine


async def _check_alive(client: Client, owner: Any) -> None:
    metadata = owner.metadata
    fresh = await client.get(type(owner), metadata.name, metadata.namespace)
    if fresh.metadata.uid != metadata.uid:
        raise OwnerGone(owner, f"its uid is now {fresh.metadata.uid}")
    if fresh.metadata.deletionTimestamp is not None:
        raise OwnerGone(owner, f"it is deleted since {fresh.metadata.deletionTimestamp}")


async def _patch(
    client: Client, obj: Any, references: list[Any], finalizers: Sequence[str]
) -> Any | None:
    """The object as it is then; None when it is gone: the uid in the patch refuses another of its
    name."""
    metadata = obj.metadata
    change: dict[str, Any] = {"uid": metadata.uid, "ownerReferences": references}
    if finalizers:
        change["finalizers"] = list(finalizers)
    try:
        return await client.patch(
            type(obj), metadata.name, metadata.namespace, {"metadata": change}, "strategic"
        )
    except errors.ApiError as error:
        # Invalid or in conflict: by now another object has the name, or another owner has it.
        if errors.is_not_found(error) or errors.is_invalid(error):
            return None
        raise
