"""The API server as a value: what it serves and what every handler may use.

Made from a config and the injected world by ``run`` (the Component) and by the in-process topology.
``chain.handle`` answers a request with it, whatever carried the request.
"""

from __future__ import annotations

import asyncio
from itertools import chain
from typing import Any

from trireme import api
from trireme.api.catalog import Catalog
from trireme.apiserver import gates, subresources, unimplemented, virtual
from trireme.apiserver.admission import order
from trireme.apiserver.admission.contract import Chain, Context
from trireme.apiserver.allocators.services import ServiceAllocator
from trireme.apiserver.authn.union import UnionAuthenticator
from trireme.apiserver.authz.union import UnionAuthorizer
from trireme.apiserver.cache.indexes import Indexes
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.cache.views import Views
from trireme.apiserver.config import ApiServerConfig
from trireme.apiserver.crd.hooks import HttpsHooks
from trireme.apiserver.crd.kinds import CustomKinds
from trireme.apiserver.endpoint import Endpoint, Served
from trireme.apiserver.filters.in_flight import InFlight
from trireme.apiserver.forked.parent import Forks
from trireme.apiserver.handlers import KindHandler, Route, SubresourceHandler
from trireme.apiserver.nodes.contract import Kubelets
from trireme.apiserver.nodes.https import HttpsKubelets
from trireme.apiserver.registry import Registry
from trireme.apiserver.request import MEDIA
from trireme.kit import catalog
from trireme.kit.env import Env
from trireme.kit.turns import Turns
from trireme.store.contract import StoreUnavailable


class ApiServer:
    """Everything that one API server holds; nothing in it is global."""

    def __init__(self, config: ApiServerConfig, env: Env) -> None:
        self.config = config
        self.env = env
        self.store = config.store
        self.turns = Turns(env.clock)
        self.catalog = Catalog.of(api)
        self.endpoints: dict[tuple[str, str, str], Endpoint] = {}
        self.by_type: dict[type, Endpoint] = {}
        self.gates = gates.Gates(config.feature_gates)
        gates.check(config.runtime_config, self.catalog.resources)
        cbor = self.gates.on("CBORServingAndStorage")
        # The media types of API objects.
        self.media = (*MEDIA, "application/cbor") if cbor else MEDIA
        # What is served, of all that there is.
        self.resources = tuple(
            resource
            for resource in self.catalog.resources
            if gates.serves(resource, config.runtime_config, self.gates)
        )
        self._serve_kinds()
        # The groups of built-in kinds that are served.
        self.groups = frozenset(group for group, _, _ in self.endpoints)
        self.views = Views()
        self.indexes = Indexes(self.store, self.views)
        self.reader = Reader(self.store, self.by_type)
        self.authorizer = UnionAuthorizer(self.store, self.reader, self.by_type)
        context = Context(self.reader, env, self.authorizer, self._write_status)
        admission = Chain(order.plugins(), context)
        services = ServiceAllocator(config.service_cidr, config.node_ports, self.reader, env.rng)
        self.registry = Registry(
            self.store,
            admission,
            env,
            self.reader,
            self.views,
            [services],
            unimplemented.ROWS if config.warn_unimplemented else {},
        )
        self.hooks = HttpsHooks(self.reader, self.env.rng)
        # Kinds that CustomResourceDefinitions define: they come and go.
        self.custom = CustomKinds(self.store, env, self.hooks)
        self.registry.ownership.endpoints = lambda: chain(
            self.endpoints.values(), self.custom.made()
        )
        self.subresources = {
            (handler.group_resource, handler.subresource): handler
            for handler in catalog.instances(subresources, SubresourceHandler)
        }
        self.kinds = {handler.type: handler for handler in catalog.instances(virtual, KindHandler)}
        self.routes = _routes()
        # The discovery documents of what is served now; ``discovery/routes`` keeps it here.
        self.discovery: Any = None
        # The published documents of what is served now; ``openapi/routes`` keeps them here.
        self.openapi: Any = None
        # Set once the objects that every cluster has are there.
        self.bootstrapped = asyncio.Event()
        self.in_flight = InFlight(config.max_in_flight, config.max_mutating_in_flight)
        self.authenticator = UnionAuthenticator(config, env, self.reader, self.gates)
        self.forks = Forks(config.forks) if config.forks else None
        self.kubelets: Kubelets = config.kubelet_transport or HttpsKubelets(
            config.kubelets, self.reader
        )

    def _serve_kinds(self) -> None:
        """An endpoint for every version of a kind; those that are stored come first.

        The server itself also reads kinds that it does not serve.
        """
        served = {id(resource) for resource in self.resources}
        hubs: dict[int, Endpoint] = {}
        for resource in sorted(self.catalog.resources, key=lambda item: item.stored_as is not None):
            conversion, hub = resource.stored_as, None
            if conversion is not None:
                stored = conversion.stored
                hub = hubs.get(id(stored))
                if hub is None:
                    hub = hubs[id(stored)] = Endpoint(stored, served=self.media)
                    self.by_type.setdefault(stored.type, hub)
            endpoint = Endpoint(resource, hub, self.media)
            hubs[id(resource)] = endpoint
            if id(resource) in served:
                self.endpoints[resource.group, resource.version, resource.plural] = endpoint
            self.by_type[resource.type] = endpoint

    def served_versions(self) -> tuple[Served, ...]:
        """What discovery and OpenAPI list: all that is served now."""
        return (*self.endpoints.values(), *self.custom.served_versions())

    async def _write_status(self, obj: Any) -> None:
        await self.registry.write_status(self.by_type[type(obj)], obj)

    async def close(self) -> None:
        """Close the connections to kubelets and webhooks."""
        await self.kubelets.close()
        await self.hooks.close()

    def endpoint(self, kind: type) -> Endpoint:
        """The endpoint of a type."""
        return self.by_type[kind]


def _routes() -> tuple[dict[str, Route], list[Route]]:
    """Exact paths, and prefixes with the longest first."""
    # These packages know the server; the server finds what they offer only when it is made.
    from trireme.apiserver import discovery, openapi

    found: list[Route] = []
    for package in (virtual, discovery, openapi):
        found += catalog.instances(package, Route)
    exact = {route.path: route for route in found if not route.prefix}
    prefixes = sorted((route for route in found if route.prefix), key=lambda r: -len(r.path))
    return exact, prefixes


async def compact(server: ApiServer) -> None:
    """Forget history that is older than the interval, for ever.

    What cannot be forgotten now (the disk is full, say) is so with the next try.
    """
    clock, store = server.env.clock, server.store
    before = store.revision
    while True:
        await clock.sleep(server.config.compaction_interval)
        try:
            await store.compact(before)
        except StoreUnavailable as problem:
            server.env.log.warning("history is not compacted: %s", problem)
        before = store.revision
