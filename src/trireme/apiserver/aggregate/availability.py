"""Keeps the Available condition of every APIService.

In: APIServices; the Services and EndpointSlices that those of other servers name. Out: writes of
their status. Services are followed from when the first APIService names one. What is written is
computed in ``plan``. Upstream: kube-aggregator ``controllers/status``.
"""

from __future__ import annotations

import asyncio
import copy
from typing import Any

from trireme.api.apiregistration.v1 import apiservice
from trireme.api.apiregistration.v1.apiservice import (
    APIService,
    APIServiceCondition,
    APIServiceStatus,
    ServiceReference,
)
from trireme.api.core.v1.service import Service
from trireme.api.discovery.v1.endpointslice_types import EndpointSlice
from trireme.apiserver.aggregate import plan
from trireme.apiserver.context import ServerContext
from trireme.apiserver.controllers.follow import Follower
from trireme.apiserver.nodes.services import SERVICE_LABEL
from trireme.apiserver.registry import MANAGER, SELF, Call
from trireme.machinery import errors, time
from trireme.store.contract import KeyValue


async def run(context: ServerContext) -> None:
    """Look at every APIService, and again whenever something about one changes, for ever."""
    async with asyncio.TaskGroup() as group:
        controller = _AvailabilityController(context, group)
        await controller.services.follow(context.endpoint(APIService).root)


class _AvailabilityController:
    def __init__(self, context: ServerContext, group: asyncio.TaskGroup) -> None:
        self._context = context
        self._group = group
        self.services = Follower(context.store, context.env, group, "apiservice", self._sync)
        # The Services that APIServices name; empty as long as nothing else has to be followed.
        self._named: dict[str, ServiceReference] = {}
        self._follows = False

    async def _sync(self, name: str) -> None:
        context = self._context
        obj = context.reader.get(APIService, "", name)
        self._note(name, None if obj is None else obj.spec.service)
        if obj is None or not self._changes(obj, copy.copy(obj.status)):
            return

        endpoint = context.endpoint(APIService)

        def change(_old: APIService, item: KeyValue) -> Any:
            new: APIService = endpoint.load(item)
            self._changes(new, new.status)
            new.metadata.resourceVersion = ""
            return new

        call = Call(SELF, any_version=True, manager=MANAGER)
        try:
            await context.registry.update(endpoint, "", name, change, call, "status")
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise

    def _changes(self, obj: APIService, status: APIServiceStatus) -> bool:
        """Set the condition; whether anything changed."""
        now = time.format(self._context.env.clock.now())
        return apiservice.set_condition(status, self._condition(obj), now)

    def _condition(self, obj: APIService) -> APIServiceCondition:
        reference, reader = obj.spec.service, self._context.reader
        if reference is None:
            return apiservice.local()
        service = reader.get(Service, reference.namespace, reference.name)
        slices = [
            item
            for item in reader.list(EndpointSlice, reference.namespace)
            if item.metadata.labels.get(SERVICE_LABEL) == reference.name
        ]
        return plan.available(reference, service, slices)

    def _note(self, name: str, reference: ServiceReference | None) -> None:
        self._named.pop(name, None)
        if reference is None:
            return
        self._named[name] = reference
        if not self._follows:
            self._follows = True
            for kind in (Service, EndpointSlice):
                follower = Follower(
                    self._context.store,
                    self._context.env,
                    self._group,
                    kind.__name__,
                    self._sync_namespace,
                )
                self._group.create_task(follower.follow(self._context.endpoint(kind).root))

    async def _sync_namespace(self, key: str) -> None:
        """A Service or a slice of its namespace changed."""
        namespace = key.partition("/")[0]
        for name in [name for name, item in self._named.items() if item.namespace == namespace]:
            await self.services.sync(name)
