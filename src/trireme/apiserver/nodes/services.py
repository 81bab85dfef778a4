"""Where a Service leads: the addresses of its ready endpoints.

In: a Service's name and a port's name. Out: addresses with ports. The API server speaks to pods
directly: no proxy of a node has to stand between them, and the cluster IP means nothing on a host
that is no node. Called by the proxy subresource and by webhooks.
"""

from __future__ import annotations

from trireme.api.discovery.v1.endpointslice_types import EndpointSlice
from trireme.apiserver.cache.reader import Reader

SERVICE_LABEL = "kubernetes.io/service-name"


def backends(reader: Reader, namespace: str, name: str, port_name: str) -> list[tuple[str, int]]:
    """(address, port) of every endpoint that is ready, or does not say that it is not."""
    found: list[tuple[str, int]] = []
    for slice_ in reader.list(EndpointSlice, namespace):
        if slice_.metadata.labels.get(SERVICE_LABEL) != name:
            continue
        number = next((p.port for p in slice_.ports if (p.name or "") == port_name), None)
        found += [
            (item.addresses[0], number)
            for item in slice_.endpoints
            if number is not None and item.addresses and item.conditions.ready is not False
        ]
    return found
