"""The EndpointSlices of one controller: the cache, and writes that the cache lacks yet.

In: an informer, the value of the label that names the controller. Out: the slices of a Service,
writes. Used by the controllers that make slices. Upstream: EndpointSliceTracker in
staging/src/k8s.io/endpointslice/util.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trireme.api.discovery.v1.endpointslice_types import EndpointSlice
from trireme.client.client import Client
from trireme.client.resource_interface import DELETED
from trireme.controllers.network import plan_slices
from trireme.controllers.network.metrics import SliceMetrics
from trireme.machinery import errors
from trireme.runtime.informer import Event, Informer
from trireme.runtime.keys import Key


class SliceTracker:
    """``manager`` is the value of ``endpointslice.kubernetes.io/managed-by``."""

    def __init__(
        self,
        client: Client,
        informer: Informer[EndpointSlice],
        manager: str,
        counts: SliceMetrics,
    ) -> None:
        self._client = client
        self._counts = counts
        self._informer = informer
        self._manager = manager
        informer.add_index(self._of_service)
        # By Service: the revisions of slices that were written, until the cache has them.
        self._written: dict[Key, dict[str, int]] = {}

    def latest(self, key: Key) -> list[EndpointSlice] | None:
        """The slices of a Service; None while the cache lacks a write of ours."""
        there = [
            item
            for item in self._informer.by_index(self._of_service, key)
            if item.metadata.deletionTimestamp is None
        ]
        waiting = self._written.get(key, {})
        for item in there:
            if int(item.metadata.resourceVersion) >= waiting.get(item.metadata.name, 0):
                waiting.pop(item.metadata.name, None)
        return None if waiting else there

    def forget(self, key: Key) -> None:
        """The Service has no slices of ours to keep."""
        self._written.pop(key, None)

    async def apply(
        self, key: Key, actions: Sequence[plan_slices.Action], *, create: bool = True
    ) -> None:
        """Write the actions in order. ``create``: not for an owner that is being deleted."""
        self._counts.planned(actions, self._informer.by_index(self._of_service, key))
        for action in actions:
            match action:
                case plan_slices.Create(item):
                    if create:
                        self._note(key, await self._client.create(item))
                case plan_slices.Update(item):
                    self._note(key, await self._client.update(item))
                case plan_slices.Delete(name):
                    try:
                        await self._client.delete(EndpointSlice, name, key.namespace)
                    except errors.ApiError as error:
                        if not errors.is_not_found(error):
                            raise
            self._counts.wrote(action)

    def trigger(self, event: Event[EndpointSlice]) -> Iterable[Key]:
        """The Services of a slice that has changed, before and after."""
        found = dict.fromkeys(self._of_service(event.object))
        if event.old is not None:
            found |= dict.fromkeys(self._of_service(event.old))
        if event.type == DELETED:
            for key in found:
                self._written.get(key, {}).pop(event.object.metadata.name, None)
        return found

    def _note(self, key: Key, written: EndpointSlice) -> None:
        revision = int(written.metadata.resourceVersion)
        there = self._informer.get(key.namespace, written.metadata.name)
        if there is None or int(there.metadata.resourceVersion) < revision:
            self._written.setdefault(key, {})[written.metadata.name] = revision

    def _of_service(self, item: EndpointSlice) -> list[Key]:
        """Index: the Service of a slice that this controller manages."""
        labels = item.metadata.labels
        if labels.get(plan_slices.LABEL_MANAGER) != self._manager:
            return []
        name = labels.get(plan_slices.LABEL_SERVICE)
        return [Key(item.metadata.namespace, name)] if name else []
