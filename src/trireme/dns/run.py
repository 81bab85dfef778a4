"""The DNS server as a Component: informers fill the zone, sockets answer from it.

In: ``DnsConfig`` and an ``Env``. Calls ``started`` once its caches are synced and it listens.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from trireme.api.core.v1.namespace import Namespace
from trireme.api.core.v1.service import Service
from trireme.api.discovery.v1.endpointslice_types import EndpointSlice
from trireme.client.client import Client
from trireme.client.resource_interface import DELETED
from trireme.dns.chain import Chain
from trireme.dns.forward import Forwarder
from trireme.dns.server import listening
from trireme.dns.sockets import Held
from trireme.dns.zone import Zone
from trireme.kit.env import Env
from trireme.runtime.informer import Event, Informers


@dataclass(frozen=True)
class DnsConfig:
    """``listen`` are (address, port), each by UDP and TCP. ``resolvers`` are for forwarding.

    ``held`` are sockets that outlive this server (``sockets.bind``), instead of ``listen``.
    """

    client: Client
    listen: tuple[tuple[str, int], ...] = ()
    domain: str = "cluster.local"
    resolvers: tuple[tuple[str, int], ...] = ()
    held: Held = ()


async def run(config: DnsConfig, env: Env) -> None:
    """Answer until cancelled."""
    zone = Zone(config.domain)
    async with asyncio.TaskGroup() as group:
        informers = Informers(config.client, env)
        follow(zone, informers)
        informers.start(group)
        await informers.synced()
        chain = Chain(zone, Forwarder(list(config.resolvers)), env.rng)
        async with listening(config.listen, chain, env.log, config.held) as bound:
            env.log.info("answering %s on %s", zone.domain, bound)
            env.started()
            await asyncio.get_running_loop().create_future()


def follow(zone: Zone, informers: Informers) -> None:
    """Update the zone by informers' events."""

    def service(event: Event[Service]) -> None:
        if event.type == DELETED:
            zone.drop_service(event.object.metadata.namespace, event.object.metadata.name)
        else:
            zone.set_service(event.object)

    def slice_(event: Event[EndpointSlice]) -> None:
        if event.type == DELETED:
            zone.drop_slice(event.object.metadata.namespace, event.object.metadata.name)
        else:
            zone.set_slice(event.object)

    def namespace(event: Event[Namespace]) -> None:
        zone.set_namespace(event.object.metadata.name, event.type != DELETED)

    informers.of(Service).add_handler(service)
    informers.of(EndpointSlice).add_handler(slice_)
    informers.of(Namespace).add_handler(namespace)
