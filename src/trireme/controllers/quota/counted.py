"""The objects that quotas count: only of resources that some quota names.

In: a resource that is counted, ``plural`` or ``plural.group``. Out: its objects in a namespace, and
calls of ``replenish`` when one of them goes or comes to use another amount, and of ``added`` when
one comes. Used by ``resourcequota``. Pods, Services, claims and quotas come from the shared caches;
of all others only the metadata is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Final

from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.resourcequota_types import ResourceQuota
from trireme.api.core.v1.service import Service
from trireme.api.resource.v1.resourceclaim_types import ResourceClaim
from trireme.client import discovery
from trireme.client.resource_interface import ADDED, DELETED, MODIFIED
from trireme.controllers.definition import ControllerContext
from trireme.domain.quota import evaluators
from trireme.runtime.informer import Event, Informer

_TYPES: Final[dict[str, type]] = {
    "pods": Pod,
    "services": Service,
    "persistentvolumeclaims": PersistentVolumeClaim,
    "resourcequotas": ResourceQuota,
    "resourceclaims.resource.k8s.io": ResourceClaim,
}
_NEEDED: Final = frozenset(("create", "list", "watch", "delete"))


class Counted:
    """``replenish`` is called with a resource and a namespace, ``added`` with the revision that
    the object was created in as well."""

    def __init__(
        self,
        context: ControllerContext,
        replenish: Callable[[str, str], None],
        added: Callable[[str, str, int], None],
    ) -> None:
        self._context = context
        self._replenish = replenish
        self._added = added
        self._informers: dict[str, Informer[Any]] = {}

    async def objects(self, resource: str, namespace: str) -> list[Any] | None:
        """All of a namespace; None where nothing of the name is served."""
        informer = self._informers.get(resource)
        if informer is None:
            informer = await self._follow(resource)
            if informer is None:
                return None
        await informer.synced()
        return informer.by_index(by_namespace, namespace)

    async def _follow(self, resource: str) -> Informer[Any] | None:
        informers, client = self._context.informers, self._context.client
        if resource in _TYPES:
            informer: Informer[Any] = informers.of(_TYPES[resource])
        else:
            plural, _, group = resource.partition(".")
            served = [
                item
                for item in await discovery.served(client)
                if (item.plural, item.group) == (plural, group)
                and item.namespaced
                and item.verbs >= _NEEDED
            ]
            if not served:
                return None
            informer = informers.of(client.metadata(group, served[0].version, plural))
        if resource in self._informers:
            # Another worker was faster.
            return self._informers[resource]
        self._informers[resource] = informer
        informer.add_index(by_namespace)
        informer.add_handler(lambda event: self._changed(resource, event))
        return informer

    def _changed(self, resource: str, event: Event[Any]) -> None:
        if event.type == ADDED:
            revision = int(event.object.metadata.resourceVersion or 0)
            self._added(resource, event.key.namespace, revision)
            return
        gone = event.type == DELETED
        now = self._context.env.clock.now()
        other = event.type == MODIFIED and evaluators.replenishes(
            resource, event.old, event.object, now
        )
        if gone or other:
            self._replenish(resource, event.key.namespace)


def by_namespace(obj: Any) -> Iterable[Hashable]:
    """Index: the namespace."""
    return [obj.metadata.namespace]
