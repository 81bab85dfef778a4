"""The proxy as a Component: informers fill the model, changes become transactions.

In: ``ProxyConfig`` and an ``Env``. Out: the node's nftables table; the rules stay after
cancellation, so that Services work while a proxy restarts. The first change is applied at once,
further ones together after ``min_sync_seconds``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from trireme.api.core.v1.service import Service
from trireme.api.discovery.v1.endpointslice_types import EndpointSlice
from trireme.api.networking.v1.servicecidr import ServiceCIDR
from trireme.client.client import Client
from trireme.client.resource_interface import DELETED
from trireme.kit.env import Env
from trireme.proxy import plan
from trireme.proxy.backends.nftables import Nftables, NftFailed
from trireme.proxy.health import Health, serving
from trireme.proxy.model import HEADLESS, OTHER_PROXY, Model
from trireme.proxy.plan import NodeFacts
from trireme.proxy.service_health import ServiceHealth
from trireme.proxy.sync import Planner
from trireme.runtime.informer import Event, Informer, Informers

RETRY_SECONDS = 5.0


@dataclass(frozen=True)
class ProxyConfig:
    """``node_ips`` take NodePorts. ``pod_cidrs`` and ``service_cidrs`` are the cluster's; the
    networks of all ServiceCIDRs join the latter.

    ``reach`` is called with the networks of Services when they are not just ``service_cidrs``:
    where a node has no default route, each needs one. ``health`` is the (address, port) of
    /healthz, None for no server.
    """

    client: Client
    node_name: str
    node_ips: tuple[str, ...]
    pod_cidrs: tuple[str, ...]
    service_cidrs: tuple[str, ...]
    table: str = "kube-proxy"
    reach: Callable[[tuple[str, ...]], Awaitable[None]] | None = None
    zone: str = ""
    min_sync_seconds: float = 0.1
    health: tuple[str, int] | None = None


async def run(config: ProxyConfig, env: Env) -> None:
    """Follow the cluster's Services until cancelled."""
    model = Model(config.node_name, config.zone)
    changed = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        informers = Informers(config.client, env)
        follow(model, informers, changed)
        cidrs = informers.of(ServiceCIDR)
        cidrs.add_handler(lambda event: changed.set())
        informers.start(group)
        await informers.synced()
        health = Health(env.clock)
        runner: web.ServerRunner | None = None
        try:
            if config.health is not None:
                runner = await serving(health, config.health)
            async with ServiceHealth(config.node_ips, health, env) as of_services:
                await _sync_forever(config, env, model, cidrs, changed, health, of_services)
        finally:
            if runner is not None:
                await runner.cleanup()


def follow(model: Model, informers: Informers, changed: asyncio.Event) -> None:
    """Update the model by informers' events; ``changed`` is set at every change."""

    def service(event: Event[Service]) -> None:
        meta = event.object.metadata
        if event.type == DELETED:
            model.drop_service(meta.namespace, meta.name)
        else:
            model.set_service(event.object)
        changed.set()

    def slice_(event: Event[EndpointSlice]) -> None:
        meta = event.object.metadata
        if event.type == DELETED:
            model.drop_slice(meta.namespace, meta.name)
        else:
            model.set_slice(event.object)
        changed.set()

    informers.of(Service).add_handler(service)
    informers.of(EndpointSlice, label_selector=f"!{HEADLESS},!{OTHER_PROXY}").add_handler(slice_)


async def _sync_forever(
    config: ProxyConfig,
    env: Env,
    model: Model,
    cidrs: Informer[ServiceCIDR],
    changed: asyncio.Event,
    health: Health,
    of_services: ServiceHealth,
) -> None:
    facts = NodeFacts(
        addresses=config.node_ips, pods=config.pod_cidrs, services=config.service_cidrs
    )
    planner, backend = Planner(facts), Nftables(config.table)
    started, reached = False, plan.service_networks(config.service_cidrs)
    changed.set()
    while True:
        await changed.wait()
        changed.clear()
        health.queued()
        known = [text for item in cidrs.list() for text in item.spec.cidrs]
        services = plan.service_networks([*config.service_cidrs, *known])
        planner.set_services(services)
        desired, stale = planner.change(model.update())
        try:
            if config.reach is not None and services != reached:
                await config.reach(services)
                reached = services
            await backend.apply(desired)
            await backend.forget_flows(stale)
            health.done()
            await of_services.update(model.all())
        except (NftFailed, OSError) as error:
            env.log.error("the rules could not be applied, trying again: %s", error)
            await env.clock.sleep(RETRY_SECONDS)
            changed.set()
            continue
        if not started:
            started = True
            env.started()
        await env.clock.sleep(config.min_sync_seconds)
