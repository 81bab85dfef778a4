"""Bring a store to what every cluster has, and keep it there.

In: an API server over a store that is empty, or of an earlier run. Out: the objects of ``objects``
and ``policy``, each written by the registry like any other. ``run`` sets ``context.bootstrapped``;
``keep`` repairs what people take away. Callers: ``apiserver/run`` and ``testing``.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from trireme.api.flowcontrol.v1.flowschema_types import FlowSchema
from trireme.api.flowcontrol.v1.prioritylevel_types import PriorityLevelConfiguration
from trireme.api.networking.v1.servicecidr import ServiceCIDR
from trireme.api.rbac.v1.clusterrole import ClusterRole
from trireme.api.rbac.v1.clusterrolebinding_types import ClusterRoleBinding
from trireme.apiserver.aggregate import register
from trireme.apiserver.bootstrap import compute, fairness, masters, objects, policy
from trireme.apiserver.bootstrap.addresses import AddressRepair
from trireme.apiserver.bootstrap.ports import PortRepair
from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.registry import MANAGER, SELF, Call
from trireme.kit import pki
from trireme.machinery import errors, time
from trireme.machinery.meta import DeleteOptions
from trireme.store import contract as stores
from trireme.store.contract import KeyValue, StoreUnavailable

FAIRNESS_MANAGER = "api-priority-and-fairness-config-producer-v1"
CIDR_MANAGER = "kubernetes-service-cidr-controller"
DEFAULT_PORT = 6443
# Seconds between two looks at whether all is still there (upstream: 10 for the endpoints).
INTERVAL = 10.0
# How often, and after how many seconds, to look for what another server is about to store.
APPEARANCE_TRIES, APPEARANCE_WAIT = 50, 0.1


async def run(context: ServerContext) -> None:
    """Write what is missing, all at once, and say so. StoreUnavailable; ApiError is a bug."""
    # Namespaces first: nothing is created in one that is not there. A Service needs an address out
    # of a network that is there, and one that nobody has.
    await _all(_missing(context, obj) for obj in objects.namespaces())
    await _service_cidr(context)
    await AddressRepair(context).repair()
    await PortRepair(context).repair()
    await _all(
        [
            *_policy(context),
            *(_missing(context, obj) for obj in objects.priority_classes()),
            *_service(context),
            _authentication(context),
            _missing(context, objects.token_tracking(context.env.clock.now())),
            *_fairness(context),
            register.start(context),
        ]
    )
    context.bootstrapped.set()


async def keep(context: ServerContext) -> None:
    """Put back, for ever, the namespaces, the way to the API server, the addresses of Services, and
    what orders its load."""
    addresses, ports = AddressRepair(context), PortRepair(context)
    while True:
        await context.env.clock.tick(INTERVAL)
        try:
            await _all(_missing(context, obj) for obj in objects.namespaces())
            await _service_cidr(context)
            await addresses.repair()
            await ports.repair()
            await _all([*_service(context), *_fairness(context), _authentication(context)])
        except* (errors.ApiError, StoreUnavailable) as problems:
            for problem in problems.exceptions:
                context.env.log.error("system objects were not restored: %s", problem)


async def _all(writes: Any) -> None:
    async with asyncio.TaskGroup() as group:
        for write in writes:
            if write is not None:
                group.create_task(write)


def _policy(context: ServerContext) -> list[Awaitable[None] | None]:
    desired = policy.cluster_roles(context.gates.on)
    writes: list[Awaitable[None] | None] = []
    for role in desired:
        # The sum is there from the start; later it is its controller's.
        initial = partial(policy.aggregated, role, desired) if role.aggregationRule else None
        writes.append(_reconcile(context, role, compute.role, initial))
    writes += [_reconcile(context, role, compute.role) for role in policy.roles()]
    for binding in (*policy.cluster_role_bindings(context.gates.on), *policy.role_bindings()):
        writes.append(_reconcile(context, binding, compute.binding))
    if context.config.kubelets is not None:
        _, groups = pki.identity(
            ssl.PEM_cert_to_DER_cert(context.config.kubelets.client.certificate.decode())
        )
        writes.append(_reconcile(context, policy.kubelet_clients(groups), compute.binding))
    for kind in (ClusterRole, ClusterRoleBinding):
        for name in policy.RETIRED:
            if context.reader.get(kind, "", name) is not None:
                writes.append(_delete(context, kind, name))
    return writes


def _authentication(context: ServerContext) -> Awaitable[None] | None:
    authorities = context.authenticator.authorities
    proxy = context.config.authentication.request_header
    desired = objects.authentication(authorities.clients, proxy, authorities.proxy)
    return _reconcile(context, desired, compute.authentication)


def _service(context: ServerContext) -> list[Awaitable[None] | None]:
    config = context.config
    port = config.advertise[1] if config.advertise is not None else DEFAULT_PORT
    writes = [_missing(context, objects.service(config.service_cidr, port))]
    # A server that only its own host reaches (a control plane without nodes) has no endpoint.
    if config.advertise is not None and objects.is_reachable(config.advertise[0]):
        address, port = config.advertise
        writes.append(_endpoints(context, masters.addresses(context, address), port))
    return writes


async def _endpoints(
    context: ServerContext, addresses: Coroutine[Any, Any, list[str]], port: int
) -> None:
    found = sorted(await addresses)
    if found:
        there = objects.endpoints(found, port), objects.endpoint_slice(found, port)
        await _all(
            [
                _reconcile(context, there[0], compute.endpoints),
                _reconcile(context, there[1], compute.endpoint_slice),
            ]
        )


async def leave(context: ServerContext) -> None:
    """This server ends: the Service leads to the others."""
    advertise = context.config.advertise
    if context.store.shared and advertise is not None and objects.is_reachable(advertise[0]):
        address, port = advertise
        try:
            await _endpoints(context, masters.leave(context, address), port)
        except* (errors.ApiError, stores.StoreError) as problems:
            context.env.log.warning("the endpoint stays: %s", problems.exceptions[0])


def _fairness(context: ServerContext) -> list[Awaitable[None] | None]:
    """Levels and schemas brought to what they should be; what they no longer should be, deleted."""
    writes: list[Awaitable[None] | None] = []
    both: tuple[tuple[type[fairness.Configuration], Sequence[fairness.Configuration]], ...] = (
        (PriorityLevelConfiguration, fairness.priority_levels()),
        (FlowSchema, fairness.flow_schemas()),
    )
    for kind, desired in both:
        for obj in desired:
            writes.append(_reconcile(context, obj, fairness.updated, manager=FAIRNESS_MANAGER))
        names = frozenset(obj.metadata.name for obj in desired)
        for stored in context.reader.list(kind):
            if fairness.is_undesired(stored, names):
                writes.append(_delete(context, kind, stored.metadata.name))
    return writes


async def _delete(context: ServerContext, kind: type, name: str) -> None:
    try:
        await context.registry.delete(
            context.endpoint(kind), "", name, DeleteOptions(), Call(SELF, manager=MANAGER)
        )
    except errors.ApiError as error:
        if not errors.is_not_found(error):
            raise


async def _service_cidr(context: ServerContext) -> None:
    """The configured networks as an object; it is ready at once."""
    desired = objects.service_cidr(context.config.service_cidr)
    name, endpoint = desired.metadata.name, context.endpoint(ServiceCIDR)
    creation = _missing(context, desired)
    if creation is not None:
        await creation
    stored = context.reader.get(ServiceCIDR, "", name)
    now = time.format(context.env.clock.now())
    if stored is None or objects.with_readiness(stored, desired, now) is None:
        return

    def change(_old: ServiceCIDR, item: KeyValue) -> ServiceCIDR:
        new: ServiceCIDR = endpoint.load(item)
        new.metadata.resourceVersion = ""
        return objects.with_readiness(new, desired, now) or new

    call = Call(SELF, any_version=True, manager=CIDR_MANAGER)
    await context.registry.update(endpoint, "", name, change, call, "status")


def _missing(context: ServerContext, desired: Any) -> Awaitable[None] | None:
    """The write that creates an object, None where it is there."""
    endpoint = context.endpoint(type(desired))
    meta = desired.metadata
    if context.store.get(endpoint.key(meta.namespace, meta.name)) is not None:
        return None
    return _create(context, endpoint, desired)


def _reconcile(
    context: ServerContext,
    desired: Any,
    compute_change: Callable[[Any, Any], Any],
    initial_rules: Callable[[], Any] | None = None,
    manager: str = MANAGER,
) -> Awaitable[None] | None:
    """The write that brings an object to what is desired, None where it is that already.

    ``compute_change(stored, desired)`` returns None, the changed ``stored``, or ``desired`` itself
    for an object that has to be made anew.
    """
    endpoint = context.endpoint(type(desired))
    endpoint.default(desired)
    item = context.store.get(endpoint.key(desired.metadata.namespace, desired.metadata.name))
    if item is None:
        if initial_rules is not None:
            desired.rules = initial_rules()
        return _create(context, endpoint, desired, manager)
    change = compute_change(endpoint.load(item), desired)
    if change is None:
        return None
    if change is desired:
        return _recreate(context, endpoint, desired)
    return _update(context, endpoint, desired, compute_change, manager)


async def _create(
    context: ServerContext, endpoint: Endpoint, desired: Any, manager: str = MANAGER
) -> None:
    endpoint.default(desired)
    try:
        await context.registry.create(
            endpoint, desired.metadata.namespace, desired, Call(SELF, manager=manager)
        )
    except errors.ApiError as error:
        # Another API server of the cluster was faster, or has what the object needs and is about
        # to store it.
        if not errors.is_already_exists(error) and not await _appears(context, endpoint, desired):
            raise


async def _appears(context: ServerContext, endpoint: Endpoint, desired: Any) -> bool:
    """Whether another server stores the object, in the time that a request may take."""
    key = endpoint.key(desired.metadata.namespace, desired.metadata.name)
    for _ in range(APPEARANCE_TRIES if context.store.shared else 0):
        await context.store.barrier()
        if context.store.get(key) is not None:
            return True
        await context.env.clock.sleep(APPEARANCE_WAIT)
    return False


async def _update(
    context: ServerContext,
    endpoint: Endpoint,
    desired: Any,
    compute_change: Callable[[Any, Any], Any],
    manager: str,
) -> None:
    meta = desired.metadata

    def change(_old: Any, item: KeyValue) -> Any:
        new = compute_change(endpoint.load(item), desired) or endpoint.load(item)
        new.metadata.resourceVersion = ""
        return new

    call = Call(SELF, any_version=True, manager=manager)
    await context.registry.update(endpoint, meta.namespace, meta.name, change, call)


async def _recreate(context: ServerContext, endpoint: Endpoint, desired: Any) -> None:
    meta, call = desired.metadata, Call(SELF, manager=MANAGER)
    await context.registry.delete(endpoint, meta.namespace, meta.name, DeleteOptions(), call)
    await _create(context, endpoint, desired)
