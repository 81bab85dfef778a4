"""Owner references: the controller of an object, and references to owners. Pure; for controllers.

https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/.
"""

from __future__ import annotations

from typing import Any

from trireme.machinery.meta import ObjectMeta, OwnerReference


def controller_of(metadata: ObjectMeta) -> OwnerReference | None:
    """The reference to the controlling owner."""
    return next((item for item in metadata.ownerReferences if item.controller), None)


def controller_uid(metadata: ObjectMeta) -> str:
    """The uid of the controlling owner; "" for an orphan."""
    found = controller_of(metadata)
    return found.uid if found is not None else ""


def controls(owner: Any, metadata: ObjectMeta) -> bool:
    """Whether ``owner`` (this very object, not one of the same name) is the controller."""
    uid: str = owner.metadata.uid
    return controller_uid(metadata) == uid


def reference(owner: Any) -> OwnerReference:
    """The reference of an object that ``owner`` controls; the owner's deletion waits for it."""
    return OwnerReference(
        apiVersion=owner.apiVersion,
        kind=owner.kind,
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        controller=True,
        blockOwnerDeletion=True,
    )
