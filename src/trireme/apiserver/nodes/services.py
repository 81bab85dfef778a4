"""Where a Service leads: the addresses of its ready endpoints.

In: a Service's name and a port's name. Out: addresses with ports. The API server speaks to pods
directly: no proxy of a node has to stand between them, and the cluster IP means nothing on a host
that is no node. Called for webhooks and aggregated API servers.
"""

from __future__ import annotations

from random import Random

from trireme.api.core.v1.service import Service
from trireme.api.discovery.v1.endpointslice_types import EndpointSlice
from trireme.apiserver.cache.reader import Reader

SERVICE_LABEL = "kubernetes.io/service-name"


def resolve(reader: Reader, rng: Random, namespace: str, name: str, port: int) -> tuple[str, int]:
    """One of the addresses that a port of a Service leads to. OSError, in upstream's words."""
    service = reader.get(Service, namespace, name)
    if service is None:
        raise OSError(f'service "{name}" not found')
    if service.spec.type == "ExternalName":
        return service.spec.externalName, port
    served = next((item for item in service.spec.ports if item.port == port), None)
    if served is None:
        raise OSError(f'no service port {port} found for service "{name}"')
    choices = backends(reader, namespace, name, served.name)
    if not choices:
        raise OSError(f'no endpoints available for service "{name}"')
    return rng.choice(choices)


def slices(reader: Reader, namespace: str, name: str) -> list[EndpointSlice]:
    """The EndpointSlices of a Service."""
    return [
        item
        for item in reader.list(EndpointSlice, namespace)
        if item.metadata.labels.get(SERVICE_LABEL) == name
    ]


def backends(reader: Reader, namespace: str, name: str, port_name: str) -> list[tuple[str, int]]:
    """(address, port) of every endpoint that is ready, or does not say that it is not."""
    found: list[tuple[str, int]] = []
    for slice_ in slices(reader, namespace, name):
        number = next((p.port for p in slice_.ports if (p.name or "") == port_name), None)
        found += [
            (item.addresses[0], number)
            for item in slice_.endpoints
            if number is not None and item.addresses and item.conditions.ready is not False
        ]
    return found
