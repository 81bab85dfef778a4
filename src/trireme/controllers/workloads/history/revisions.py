"""The history of an owner: its ControllerRevisions are adopted, made, renumbered and deleted.

In: an owner with a pod template. Out: writes of ControllerRevisions; which of them is that of the
template. Used by StatefulSets and DaemonSets; decisions are in ``compute_revisions``. Upstream:
pkg/controller/history.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

from trireme.api.apps.v1.controllerrevision import ControllerRevision
from trireme.controllers.definition import ControllerContext
from trireme.controllers.workloads import claims
from trireme.controllers.workloads.history import compute_revisions
from trireme.controllers.workloads.owned_pods import by_controller, of_spec
from trireme.domain import adoption, owners
from trireme.machinery import errors
from trireme.runtime import keys
from trireme.runtime.written import Written


class History:
    """The revisions of one kind of owner."""

    def __init__(self, context: ControllerContext, written: Written) -> None:
        self._client = context.client
        self._written = written
        self.informer = context.informers.of(ControllerRevision)
        self.informer.add_index(by_controller)

    async def claim(self, owner: Any) -> list[ControllerRevision]:
        """The owner's revisions, oldest first; orphans that fit are its own then."""
        namespace = owner.metadata.namespace
        candidates = self.informer.by_index(by_controller, (namespace, owner.metadata.uid))
        candidates += self.informer.by_index(by_controller, (namespace, ""))
        claim = adoption.claim(owner, of_spec(owner), candidates)
        mine = await claims.adopt_and_release(self._client, owner, claim)
        return compute_revisions.ordered(mine)

    async def current(
        self, owner: Any, revisions: Sequence[ControllerRevision]
    ) -> tuple[ControllerRevision, int]:
        """The revision of the owner's template, made or renumbered where it has to be; the count of
        collisions then."""
        collisions = owner.status.collisionCount or 0
        match compute_revisions.choose(owner, revisions, collisions):
            case compute_revisions.Keep(revision):
                return revision, collisions
            case compute_revisions.Renumber(revision):
                stored = await self._client.update(revision)
            case compute_revisions.Create(revision):
                stored, collisions = await self._create(owner, revision, collisions)
        self._written.wrote(keys.of(owner.metadata), self.informer, stored)
        return stored, collisions

    async def truncate(
        self,
        owner: Any,
        revisions: Sequence[ControllerRevision],
        live: Set[str],
        counted: int = 0,
    ) -> None:
        """Delete what the history need not keep. ``live`` are names of revisions in use, of which
        ``counted`` are among those that it keeps."""
        limit = owner.spec.revisionHistoryLimit
        if limit is not None and counted:
            limit = max(0, limit - counted)
        for item in compute_revisions.surplus(revisions, live, limit):
            try:
                await self._client.delete(
                    ControllerRevision, item.metadata.name, item.metadata.namespace
                )
            except errors.ApiError as error:
                if not errors.is_not_found(error):
                    raise
            self._written.deleted(keys.of(owner.metadata), self.informer, item)

    async def _create(
        self, owner: Any, revision: ControllerRevision, collisions: int
    ) -> tuple[ControllerRevision, int]:
        """Create it, under another name where its own is taken by another template's."""
        while True:
            try:
                return await self._client.create(revision), collisions
            except errors.ApiError as error:
                if not errors.is_already_exists(error):
                    raise
            metadata = revision.metadata
            there = await self._client.get(ControllerRevision, metadata.name, metadata.namespace)
            if there.data == revision.data and owners.controls(owner, there.metadata):
                # Made by us before; the cache does not show it yet.
                return there, collisions
            collisions += 1
            data: Any = revision.data
            revision = compute_revisions.made(owner, data, revision.revision, collisions)
