"""Keeps the Available condition of every APIService, and what aggregated API servers serve.

In: APIServices; the Services and EndpointSlices that those of other servers name; what those
servers answer. Out: writes of APIServices' status, ``routes`` and ``served.remote``. Services are
followed from when the first APIService names one. What is written is computed in ``plan``.
Upstream: kube-aggregator ``controllers/status``, ``handler_discovery.go``.
"""

from __future__ import annotations

import asyncio
import copy
from typing import Any, Final

from trireme.api.apiregistration.v1 import apiservice
from trireme.api.apiregistration.v1.apiservice import (
    APIService,
    APIServiceCondition,
    APIServiceStatus,
    ServiceReference,
)
from trireme.api.core.v1.service import Service
from trireme.api.discovery.v1.endpointslice_types import EndpointSlice
from trireme.apiserver.aggregate import download, plan
from trireme.apiserver.aggregate.download import AGGREGATOR, Known
from trireme.apiserver.aggregate.proxy import DISCOVERY_TIMEOUT
from trireme.apiserver.context import ServerContext
from trireme.apiserver.controllers.follow import Follower
from trireme.apiserver.nodes import services
from trireme.apiserver.registry import MANAGER, SELF, Call
from trireme.apiserver.remote.servers import Unreachable
from trireme.apiserver.served import RemoteVersion
from trireme.kit import waiting
from trireme.kit.backoff import Backoff
from trireme.machinery import errors, time
from trireme.store.contract import KeyValue, StoreUnavailable

# Seconds between two looks at a server, and between two at what it serves.
CHECK_INTERVAL: Final = 30.0
REFRESH_INTERVAL: Final = 60.0
# A server counts as available when one of so many requests at a time is answered.
_ATTEMPTS: Final = 5


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
        # Those of other servers.
        self._checks: dict[str, _Check] = {}
        self._follows = False

    async def _sync(self, name: str) -> None:
        context = self._context
        obj = context.reader.get(APIService, "", name)
        context.routes.record(name, obj)
        if obj is not None and obj.spec.service is not None:
            self._check(name, obj)
            return
        check = self._checks.pop(name, None)
        if check is not None:
            check.close()
        if obj is not None:
            await write(context, obj, apiservice.local())

    def _check(self, name: str, obj: APIService) -> None:
        known = self._checks.get(name)
        if known is None:
            self._follow_services()
            self._checks[name] = _Check(self._context, self._group, obj)
        else:
            known.update(obj)

    def _follow_services(self) -> None:
        if self._follows:
            return
        self._follows = True
        common = self._context.store, self._context.env, self._group
        for kind in (Service, EndpointSlice):
            follower = Follower(*common, kind.__name__, self._sync_namespace)
            self._group.create_task(follower.follow(self._context.endpoint(kind).root))

    async def _sync_namespace(self, key: str) -> None:
        """A Service or a slice of its namespace changed."""
        namespace = key.partition("/")[0]
        for check in self._checks.values():
            if check.reference.namespace == namespace:
                check.changed.set()


class _Check:
    """Looks at one aggregated API server, again and again."""

    def __init__(self, context: ServerContext, group: asyncio.TaskGroup, obj: APIService) -> None:
        self._context = context
        self._name = obj.metadata.name
        self._spec = obj.spec
        self._known = Known()
        self._refresh_at = 0.0
        self.changed = asyncio.Event()
        self._task = group.create_task(self._run(), name=f"apiservice {self._name}")

    @property
    def reference(self) -> ServiceReference:
        assert self._spec.service is not None
        return self._spec.service

    def update(self, obj: APIService) -> None:
        """Look again at once where the spec is another."""
        if obj.spec != self._spec:
            self._spec = obj.spec
            self._refresh_at = 0.0
            self.changed.set()

    def close(self) -> None:
        self._task.cancel()
        _publish(self._context, self._name, None)

    async def _run(self) -> None:
        env, backoff = self._context.env, Backoff(0.005, CHECK_INTERVAL, jitter=0.0, reset=600.0)
        while True:
            self.changed.clear()
            try:
                passed = await self._look()
            except (errors.ApiError, StoreUnavailable) as problem:
                env.log.warning("apiservice %s: %s", self._name, problem)
                passed = False
            if passed:
                backoff.reset()
                delay = CHECK_INTERVAL
            else:
                delay = backoff.failed(env.clock.monotonic(), env.rng)
            await waiting.wait(self.changed, delay)

    async def _look(self) -> bool:
        """Whether the server is available; its documents are asked for from time to time."""
        context = self._context
        obj = context.reader.get(APIService, "", self._name)
        if obj is None or obj.spec.service is None:
            return True
        condition = _unreachable(context, obj.spec.service)
        asked = condition is None
        if condition is None:
            condition = plan.checked(await _problem(context, obj))
        await write(context, obj, condition)
        available, now = condition.status == "True", context.env.clock.monotonic()
        known = next((item for item in context.served.remote if item.name == self._name), None)
        due = now >= self._refresh_at if available else known is not None and not known.is_stale
        if due or known is None:
            found = await download.refresh(context, obj, self._known, available=available)
            _publish(context, self._name, found)
            self._refresh_at = 0.0 if found.is_stale else now + REFRESH_INTERVAL
        # Without a way to the server the next look is at the next change.
        return available or not asked


def _publish(context: ServerContext, name: str, found: RemoteVersion | None) -> None:
    """Put a version into what is served; None: take it away."""
    others = [item for item in context.served.remote if item.name != name]
    kept = [*others, found] if found is not None else others
    context.served.remote = tuple(sorted(kept, key=lambda item: item.name))


def _unreachable(context: ServerContext, reference: ServiceReference) -> APIServiceCondition | None:
    at = reference.namespace, reference.name
    service = context.reader.get(Service, *at)
    slices = services.slices(context.reader, *at)
    return plan.unreachable(reference, service, slices)


async def _problem(context: ServerContext, obj: APIService) -> str:
    """Why none of several requests was answered; empty where one was."""
    asked = [asyncio.ensure_future(_ask(context, obj)) for _ in range(_ATTEMPTS)]
    problem = ""
    try:
        for each in asyncio.as_completed(asked):
            problem = await each
            if not problem:
                break
    finally:
        for each in asked:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    return problem


async def _ask(context: ServerContext, obj: APIService) -> str:
    """Ask a server for what its version has; why it does not answer."""
    spec = obj.spec
    assert spec.service is not None
    path = f"/apis/{spec.group}/{spec.version}" if spec.group else f"/api/{spec.version}"
    try:
        address = context.servers.resolve(spec.service)
    except Unreachable as problem:
        return str(problem)
    url = f"https://{address.text}{path}"
    try:
        found = await context.servers.fetch(
            obj, address, path, AGGREGATOR, download.LIMIT, DISCOVERY_TIMEOUT
        )
    except Unreachable as problem:
        return f'failing or missing response from {url}: Get "{url}": {problem}'
    if not 200 <= found.status < 300:
        bad = f"bad status from {url}: {found.status}"
        return f"failing or missing response from {url}: {bad}"
    return ""


async def write(context: ServerContext, obj: APIService, condition: APIServiceCondition) -> None:
    """Write a condition that an APIService does not have yet."""

    def changes(status: APIServiceStatus) -> bool:
        now = time.format(context.env.clock.now())
        return apiservice.set_condition(status, copy.copy(condition), now)

    if not changes(copy.copy(obj.status)):
        return
    endpoint = context.endpoint(APIService)

    def change(_old: APIService, item: KeyValue) -> Any:
        new: APIService = endpoint.load(item)
        changes(new.status)
        new.metadata.resourceVersion = ""
        return new

    call = Call(SELF, any_version=True, manager=MANAGER)
    try:
        await context.registry.update(endpoint, "", obj.metadata.name, change, call, "status")
    except errors.ApiError as error:
        if not errors.is_not_found(error):
            raise
