"""The API server as a value: its parts, composed from a config and the injected world.

Made by ``run`` (the Component) and by the in-process topology. ``chain.handle`` answers a request
with it, whatever carried the request.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from trireme import api
from trireme.api.catalog import Catalog
from trireme.api.networking.v1.ipaddress import IPAddress
from trireme.apiserver import (
    discovery,
    gates,
    openapi,
    resource_metrics,
    subresources,
    unimplemented,
    virtual,
)
from trireme.apiserver.admission import order
from trireme.apiserver.admission.contract import Chain, Context
from trireme.apiserver.allocators.ports import Ports
from trireme.apiserver.allocators.services import ServiceAllocator
from trireme.apiserver.audit import auditor
from trireme.apiserver.authn.union import UnionAuthenticator
from trireme.apiserver.authz.union import UnionAuthorizer
from trireme.apiserver.bootstrap import policy
from trireme.apiserver.cache.indexes import Indexes
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.cache.views import Views
from trireme.apiserver.config import ApiServerConfig
from trireme.apiserver.context import ServerContext
from trireme.apiserver.crd.kinds import CustomKinds
from trireme.apiserver.encryption.run import Encryption
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.fairness import metrics
from trireme.apiserver.fairness.levels import Levels
from trireme.apiserver.filters.deadline import Deadlines
from trireme.apiserver.filters.fairness import Fairness
from trireme.apiserver.filters.in_flight import InFlight
from trireme.apiserver.forked.parent import Forks
from trireme.apiserver.handlers import Handlers, KindHandler, Route, SubresourceHandler
from trireme.apiserver.hooks import HttpsHooks
from trireme.apiserver.monitoring.access import AccessMetrics
from trireme.apiserver.monitoring.requests import RequestMetrics
from trireme.apiserver.monitoring.server import Storage, expose_build
from trireme.apiserver.monitoring.watches import WatchMetrics
from trireme.apiserver.nodes.https import HttpsKubelets
from trireme.apiserver.ownership import Ownership
from trireme.apiserver.registry import MANAGER, SELF, Call, Registry
from trireme.apiserver.remote.routes import Routes
from trireme.apiserver.remote.servers import Servers
from trireme.apiserver.request import MEDIA, RequestInfo
from trireme.apiserver.resource_metrics.scrape import Scraper
from trireme.apiserver.served import BuiltIn, ServedKinds
from trireme.kit import catalog
from trireme.kit.env import Env
from trireme.kit.turns import Turns
from trireme.machinery import errors
from trireme.machinery.meta import DeleteOptions
from trireme.runtime.serving.indicators import Indicators


class ApiServer:
    """One API server: its context, the handlers beside the verbs, and the limits on requests."""

    def __init__(
        self, config: ApiServerConfig, env: Env, encryption: Encryption | None = None
    ) -> None:
        self.context = _context(config, env, encryption)
        self.handlers = handlers()
        self.deadlines = Deadlines(env.clock, config.fairness.request_timeout)
        self.limits = _limits(self.context)
        self.forks = Forks(config.forks) if config.forks else None

    async def close(self) -> None:
        """Close the connections to kubelets, webhooks and aggregated API servers."""
        await self.context.kubelets.close()
        await self.context.servers.close()
        await self.context.hooks.close()
        await self.context.authenticator.close()
        await self.context.authorizer.close()
        if self.context.audit is not None:
            await self.context.audit.close()


def _limits(context: ServerContext) -> Fairness | InFlight:
    """What limits the requests that are answered at a time."""
    config = context.config
    if context.fairness is None:
        limits = InFlight(config.max_in_flight, config.max_mutating_in_flight)
        limits.show(context.env.metrics)
        return limits
    return Fairness(
        context.fairness, context.reader, context.store, context.served, context.env.clock,
        config.fairness.request_timeout,
    )  # fmt: skip


def _levels(config: ApiServerConfig, env: Env) -> Levels | None:
    """The priority levels; None where requests are only counted, or not at all."""
    seats = config.max_in_flight + config.max_mutating_in_flight
    if not config.fairness.enabled or not seats:
        return None
    levels = Levels(seats, env.clock.monotonic())
    metrics.register(env.metrics, levels)
    return levels


def _context(config: ApiServerConfig, env: Env, encryption: Encryption | None) -> ServerContext:
    store, feature_gates = config.store, gates.Gates(config.feature_gates)
    built_in = _built_in(config, feature_gates)
    views = Views()
    reader = Reader(store, built_in.by_type)
    authorizer = UnionAuthorizer(
        config.authorization,
        env,
        store,
        reader,
        built_in.by_type,
        policy.node_rules(),
        pod_certificates=feature_gates.on("PodCertificateRequest"),
    )
    hooks = HttpsHooks(reader, env.rng)
    served = ServedKinds(built_in, CustomKinds(store, env, hooks))

    async def write_status(obj: Any) -> None:
        await registry.write_status(built_in.by_type[type(obj)], obj)

    async def create(obj: Any) -> None:
        endpoint = built_in.by_type[type(obj)]
        await registry.create(endpoint, obj.metadata.namespace, obj, Call(SELF, manager=MANAGER))

    access = AccessMetrics(env.metrics)
    expose_build(env.metrics, feature_gates)
    ports = Ports(*config.node_ports, store)
    turns = Turns(env.clock)
    kubelets = config.kubelet_transport or HttpsKubelets(config.kubelets, reader)
    ip_addresses = _IPAddresses(built_in.by_type[IPAddress])
    registry = Registry(
        store,
        Chain(
            order.plugins(config.admission),
            Context(
                reader,
                env,
                authorizer,
                write_status,
                create,
                hooks,
                served.versions_of,
                served.of_kind,
            ),
        ),
        env,
        reader,
        views,
        Ownership(served.all_endpoints),
        [ServiceAllocator(config.service_cidr, ports, reader, ip_addresses, env.rng)],
        unimplemented.ROWS if config.warn_unimplemented else {},
    )
    ip_addresses.registry = registry
    return ServerContext(
        config=config,
        env=env,
        gates=feature_gates,
        store=store,
        served=served,
        reader=reader,
        views=views,
        indexes=Indexes(store, views),
        authenticator=UnionAuthenticator(config, env, reader, feature_gates, access),
        authorizer=authorizer,
        metrics=RequestMetrics(env, partial(_is_served, served)),
        access=access,
        watches=WatchMetrics(env.metrics),
        storage=Storage(env.metrics, store, served.all_endpoints),
        indicators=Indicators(),
        began=env.clock.now(),
        audit=auditor.of(config.audit, env),
        registry=registry,
        ports=ports,
        encryption=encryption,
        hooks=hooks,
        kubelets=kubelets,
        servers=Servers(reader, env.rng, config.aggregator),
        routes=Routes(),
        turns=turns,
        scraper=Scraper(kubelets, reader, env, turns),
        fairness=_levels(config, env),
        bootstrapped=asyncio.Event(),
        stopping=asyncio.Event(),
    )


class _IPAddresses:
    """Written through the registry, like any other object."""

    registry: Registry

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._call = Call(SELF, manager=MANAGER)

    async def create(self, obj: IPAddress) -> None:
        await self.registry.create(self._endpoint, "", obj, self._call)

    async def delete(self, name: str) -> None:
        try:
            await self.registry.delete(self._endpoint, "", name, DeleteOptions(), self._call)
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise


def _is_served(served: ServedKinds, info: RequestInfo) -> bool:
    at = info.group, info.version, info.resource
    return at in served.endpoints or served.custom.endpoint(*at) is not None


def _built_in(config: ApiServerConfig, feature_gates: gates.Gates) -> BuiltIn:
    known = Catalog.of(api).resources
    if config.resource_metrics:
        known += resource_metrics.RESOURCES
    gates.check(config.runtime_config, known)
    served = [item for item in known if gates.serves(item, config.runtime_config, feature_gates)]
    cbor = feature_gates.on("CBORServingAndStorage")
    return BuiltIn(known, tuple(served), (*MEDIA, "application/cbor") if cbor else MEDIA)


def handlers() -> Handlers:
    """What the modules in these folders offer; they are imported."""
    routes = [
        route
        for package in (virtual, discovery, openapi)
        for route in catalog.instances(package, Route)
    ]
    return Handlers(
        subresources={
            (handler.group_resource, handler.subresource): handler
            for handler in catalog.instances(subresources, SubresourceHandler)
        },
        kinds={handler.type: handler for handler in catalog.instances(virtual, KindHandler)},
        exact={route.path: route for route in routes if not route.prefix},
        prefixes=tuple(
            sorted((route for route in routes if route.prefix), key=lambda r: -len(r.path))
        ),
    )
