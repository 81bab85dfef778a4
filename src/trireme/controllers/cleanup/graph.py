"""The graph of owner references between all objects of all kinds. Pure.

In: nodes as they appear, change and go. Out: which nodes to look at. Owned by ``monitors``. An
owner that is not here is not known to be absent: only the API server can say that. Upstream:
pkg/controller/garbagecollector/graph_builder;
https://kubernetes.io/docs/concepts/architecture/garbage-collection/.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from trireme.machinery.meta import ObjectMeta, OwnerReference

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


class Kind(msgspec.Struct, frozen=True):
    """A served resource, and the kind of its objects."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


class Node(msgspec.Struct, frozen=True):
    """One object: where it is, whose it is, and whether it is being deleted. ``version``: the
    resourceVersion that this was read at."""

    kind: Kind
    namespace: str
    name: str
    uid: str
    owners: tuple[OwnerReference, ...] = ()
    deleting: bool = False
    finalizers: tuple[str, ...] = ()
    version: str = ""

    @property
    def waits(self) -> bool:
        """It is deleted once its dependents are gone."""
        return self.deleting and FOREGROUND in self.finalizers

    @property
    def orphans(self) -> bool:
        """It is deleted once its dependents no longer refer to it."""
        return self.deleting and ORPHAN in self.finalizers

    def __str__(self) -> str:
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind.kind} {where}"


def node(kind: Kind, metadata: ObjectMeta) -> Node:
    """The node of an object."""
    return Node(
        kind=kind,
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        owners=tuple(metadata.ownerReferences),
        deleting=metadata.deletionTimestamp is not None,
        finalizers=tuple(metadata.finalizers),
        version=metadata.resourceVersion,
    )


def names(reference: OwnerReference, dependent: Node, owner: Node) -> bool:
    """Whether group, kind, name and namespace of the reference are the owner's. The uid is."""
    group = reference.apiVersion.rpartition("/")[0]
    return (
        reference.kind == owner.kind.kind
        and group == owner.kind.group
        and reference.name == owner.name
        and owner.namespace in ("", dependent.namespace)
    )


class Graph:
    """All nodes by uid, and the dependents of each uid, whether it has a node or not."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        # Dicts without values stand for ordered sets: the order of insertion is reproducible.
        self._dependents: dict[str, dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, uid: str) -> Node | None:
        return self._nodes.get(uid)

    def all(self) -> list[Node]:
        return list(self._nodes.values())

    def put(self, new: Node) -> list[str]:
        """Add or replace a node; the uids to reconcile because of it."""
        old = self._nodes.get(new.uid)
        self._nodes[new.uid] = new
        if old is not None and _same(old, new):
            return []
        before = {item.uid for item in old.owners} if old is not None else set()
        after = {item.uid: None for item in new.owners}
        for uid in before - after.keys():
            self._drop(uid, new.uid)
        for uid in after:
            self._dependents.setdefault(uid, {})[new.uid] = None
        affected: dict[str, None] = {}
        # One that is merely being deleted is nobody's concern here: it goes by itself.
        if new.waits or new.orphans or (not new.deleting and self._needs_check(new)):
            affected[new.uid] = None
        if old is None or new.waits != old.waits:
            # Dependents that were here first may have called it by a wrong name. Those of an owner
            # that waits are deleted at once, be it waiting for them or not.
            affected |= {d.uid: None for d in self.dependents(new.uid) if self._needs_check(d)}
        # An owner that waits looks again when a dependent no longer blocks it, or is new.
        references = (*new.owners, *(old.owners if old is not None else ()))
        affected |= {item.uid: None for item in references if self._waits(item.uid)}
        return list(affected)

    def remove(self, uid: str) -> list[str]:
        """Remove a node; the uids to reconcile: its dependents, and owners that wait for them."""
        old = self._nodes.pop(uid, None)
        if old is None:
            return []
        for item in old.owners:
            self._drop(item.uid, uid)
        affected = dict.fromkeys(self._dependents.get(uid, ()))
        affected |= {item.uid: None for item in old.owners if self._waits(item.uid)}
        return list(affected)

    def dependents(self, uid: str) -> list[Node]:
        """The nodes that refer to this owner."""
        return [self._nodes[item] for item in self._dependents.get(uid, ())]

    def blocking(self, uid: str) -> list[Node]:
        """Those of the dependents that the owner's deletion waits for."""
        return [
            item
            for item in self.dependents(uid)
            if any(ref.uid == uid and ref.blockOwnerDeletion for ref in item.owners)
        ]

    def unknown_owners(self) -> Iterable[str]:
        """The uids of nodes with an owner that has no node, or another identity."""
        return [item.uid for item in self._nodes.values() if self._needs_check(item)]

    def mismatched(self, item: Node) -> list[OwnerReference]:
        """The references whose owner has a node of another identity."""
        found = []
        for reference in item.owners:
            owner = self._nodes.get(reference.uid)
            if owner is not None and not names(reference, item, owner):
                found.append(reference)
        return found

    def _needs_check(self, item: Node) -> bool:
        for reference in item.owners:
            owner = self._nodes.get(reference.uid)
            if owner is None or owner.waits or not names(reference, item, owner):
                return True
        return False

    def _waits(self, uid: str) -> bool:
        found = self._nodes.get(uid)
        return found is not None and found.waits

    def _drop(self, owner: str, dependent: str) -> None:
        found = self._dependents.get(owner, {})
        found.pop(dependent, None)
        if not found:
            self._dependents.pop(owner, None)


def _same(old: Node, new: Node) -> bool:
    """Whether two states of an object differ in nothing that the graph looks at."""
    return (
        old.owners == new.owners
        and old.deleting == new.deleting
        and old.finalizers == new.finalizers
    )
