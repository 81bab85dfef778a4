"""What every ResourceQuota's namespace uses.

In: quotas, and the objects that they count. Out: the status of quotas: ``hard`` as the spec has it,
``used`` as counted. Admission adds what new objects use; this controller gives back what goes, and
counts all anew every five minutes. Run by ``manager``. Upstream: pkg/controller/resourcequota;
https://kubernetes.io/docs/concepts/policy/resource-quotas/.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from trireme.api.core.v1.resourcequota_types import ResourceQuota, ResourceQuotaStatus
from trireme.client.resource_interface import MODIFIED
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.quota.counted import Counted, by_namespace
from trireme.domain import resource_lists
from trireme.domain.quota import evaluators
from trireme.domain.resource_lists import ZERO, ResourceList
from trireme.machinery import errors
from trireme.runtime import keys
from trireme.runtime.controller import After, Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key

# How soon a resource that is not served is looked for again, in seconds.
DISCOVERY_RESYNC = 30.0


class Quotas:
    """The state of the controller: caches."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._clock = context.env.clock
        self._resync = context.settings.quota_resync
        self._counted = Counted(context, self._replenish, self._added)
        # The revisions in which quotas were when they were last counted.
        self._counted_at: dict[Key, int] = {}
        self._quotas = context.informers.of(ResourceQuota)
        self._quotas.add_index(by_namespace)
        self.loop = Controller(
            "resourcequota_primary",
            self.reconcile,
            context.env,
            triggers=[(self._quotas, _spec_changed)],
            workers=context.settings.workers.resourcequota,
        )

    async def reconcile(self, key: Key) -> After | None:
        """Count what the namespace uses, and write it down."""
        quota = self._quotas.get(*key)
        if quota is None:
            self._counted_at.pop(key, None)
            return None
        self._counted_at[key] = int(quota.metadata.resourceVersion)
        counting = evaluators.counting(quota.spec.hard)
        used = resource_lists.parse(quota.status.used)
        complete = True
        for resource, names in counting.items():
            objects = await self._counted.objects(resource, key.namespace)
            if objects is None:
                complete = False
                continue
            used |= usage(quota, resource, names, objects, self._clock.now())
        # The lists may have been waited for.
        quota = self._quotas.get(*key)
        if quota is None:
            return None
        await self._write(quota, resource_lists.mask(used, quota.spec.hard))
        return After(self._resync if complete else min(self._resync, DISCOVERY_RESYNC))

    async def _write(self, quota: ResourceQuota, used: ResourceList) -> None:
        hard = resource_lists.parse(quota.spec.hard)
        status = quota.status
        if (hard, used) == (resource_lists.parse(status.hard), resource_lists.parse(status.used)):
            return
        after = ResourceQuotaStatus(hard=dict(quota.spec.hard), used=resource_lists.texts(used))
        try:
            await self._client.update_status(replace(quota, status=after))
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise

    def _replenish(self, resource: str, namespace: str) -> None:
        """An object is gone, or uses something else: count again for the quotas that it is in."""
        evaluator = evaluators.of(resource)
        for quota in self._quotas.by_index(by_namespace, namespace):
            if evaluator.names(quota.status.hard):
                self.loop.queue.add(keys.of(quota.metadata))

    def _added(self, resource: str, namespace: str, revision: int) -> None:
        """An object came. Admission has charged it, unless it was there before the quota was, and
        its cache did not show it when the quota was counted."""
        evaluator = evaluators.of(resource)
        for quota in self._quotas.by_index(by_namespace, namespace):
            key = keys.of(quota.metadata)
            if revision <= self._counted_at.get(key, 0) and evaluator.names(quota.spec.hard):
                self.loop.queue.add(key)


def usage(
    quota: ResourceQuota, resource: str, names: Iterable[str], objects: Iterable[Any], now: float
) -> ResourceList:
    """What the objects of one resource that are in the quota's scopes use of these names."""
    evaluator = evaluators.of(resource)
    selector = quota.spec.scopeSelector
    selectors = selector.matchExpressions if selector is not None else []
    own = list(names)
    total: ResourceList = dict.fromkeys(own, ZERO)
    for obj in objects:
        if evaluators.matches(evaluator, quota.spec.scopes, selectors, obj):
            used = resource_lists.mask(evaluator.usage(obj, now), own)
            total = resource_lists.add(total, used)
    return total


def _spec_changed(event: Event[ResourceQuota]) -> Iterable[Key]:
    """The status is written here and by admission: a change of it is no news."""
    quota, old = event.object, event.old
    if event.type == MODIFIED and old is not None and quota.spec.hard == old.spec.hard:
        return ()
    return [event.key]


def make(context: ControllerContext) -> Controller:
    """The control loop."""
    return Quotas(context).loop


CONTROLLER = Definition("resourcequota-controller", make)
