"""What every object has: ObjectMeta, ListMeta, owner references, conditions, label selectors.

Types only. Upstream: apimachinery ``meta/v1``; api-conventions.md#metadata.
"""

from __future__ import annotations

from typing import Annotated, Protocol

import msgspec

from trireme.machinery.types import (
    Atomic,
    Int64,
    ListSet,
    Merge,
    RawJSON,
    Required,
    Struct,
    Time,
    always,
    atomic,
    listmap,
    null,
)


@atomic
class OwnerReference(Struct):
    apiVersion: Annotated[str, Required()] = always(str)
    kind: Annotated[str, Required()] = always(str)
    name: Annotated[str, Required()] = always(str)
    uid: Annotated[str, Required()] = always(str)
    controller: bool | None = None
    blockOwnerDeletion: bool | None = None


class ManagedFieldsEntry(Struct):
    manager: str = ""
    operation: str = ""
    apiVersion: str = ""
    time: Time | None = None
    fieldsType: str = ""
    fieldsV1: RawJSON = msgspec.Raw()
    subresource: str = ""


class ObjectMeta(Struct):
    name: str = ""
    generateName: str = ""
    namespace: str = ""
    selfLink: str = ""
    uid: str = ""
    resourceVersion: str = ""
    generation: Int64 = 0
    creationTimestamp: Time | None = None
    deletionTimestamp: Time | None = None
    deletionGracePeriodSeconds: Int64 | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    ownerReferences: Annotated[list[OwnerReference], listmap("uid"), Merge("uid")] = []
    finalizers: Annotated[list[str], ListSet(), Merge()] = []
    managedFields: Annotated[list[ManagedFieldsEntry], Atomic()] = []


class ShardInfo(Struct):
    selector: Annotated[str, Required()] = always(str)


class ListMeta(Struct):
    selfLink: str = ""
    resourceVersion: str = ""
    continue_: str = msgspec.field(name="continue", default="")
    remainingItemCount: Int64 | None = None
    shardInfo: ShardInfo | None = None


class LabelSelectorRequirement(Struct):
    key: Annotated[str, Required()] = always(str)
    operator: Annotated[str, Required()] = always(str)
    values: Annotated[list[str], Atomic()] = []


class FieldSelectorRequirement(Struct):
    key: Annotated[str, Required()] = always(str)
    operator: Annotated[str, Required()] = always(str)
    values: Annotated[list[str], Atomic()] = []


@atomic
class LabelSelector(Struct):
    matchLabels: dict[str, str] = {}
    matchExpressions: Annotated[list[LabelSelectorRequirement], Atomic()] = []


class Condition(Struct):
    type: Annotated[str, Required()] = always(str)
    status: Annotated[str, Required()] = always(str)
    observedGeneration: Int64 = 0
    lastTransitionTime: Annotated[Time | None, Required()] = null()
    reason: Annotated[str, Required()] = always(str)
    message: Annotated[str, Required()] = always(str)


class GroupResource(Struct):
    group: Annotated[str, Required()] = always(str)
    resource: Annotated[str, Required()] = always(str)


class Preconditions(Struct):
    uid: str | None = None
    resourceVersion: str | None = None


class DeleteOptions(Struct):
    kind: str = ""
    apiVersion: str = ""
    gracePeriodSeconds: Int64 | None = None
    preconditions: Preconditions | None = None
    orphanDependents: bool | None = None
    propagationPolicy: str | None = None
    dryRun: Annotated[list[str], Atomic()] = []
    ignoreStoreReadErrorWithClusterBreakingPotential: bool | None = None


class HasMetadata(Protocol):
    """An object of any kind."""

    metadata: ObjectMeta


class Object(Struct):
    """What generic code may assume of every kind; each kind's own type has these and more."""

    kind: str = always(str)
    apiVersion: str = always(str)
    metadata: ObjectMeta = always(ObjectMeta)
