"""Clients of a local cluster, as its administrator or as one of its components."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from trireme.client import agent as agents
from trireme.client.client import Client
from trireme.client.http import Http, Tls
from trireme.client.measured import Wrap
from trireme.cluster.pki import Keys
from trireme.cluster.settings import Settings


@asynccontextmanager
async def client(
    cluster: Settings, identity: str, agent: str, wrap: Wrap = lambda transport: transport
) -> AsyncIterator[Client]:
    """A client with the certificate named ``identity`` (``scheduler``, ``kubelet.node-0``).

    Components on nodes reach the API server at the host's address, all others on loopback. ``wrap``
    makes its transport, of the one to the API server.
    """
    keys = Keys(cluster.pki_dir)
    tls = Tls(authority=keys.authority_file.read_bytes(), client=keys.pair(identity))
    on_node = identity.partition(".")[2] in {node.name for node in cluster.nodes}
    url = cluster.url(cluster.listen[-1] if on_node else "127.0.0.1")
    transport = wrap(Http(url, tls))
    try:
        yield Client(transport, user_agent=agents.of(agent))
    finally:
        await transport.close()


def admin(cluster: Settings) -> AbstractAsyncContextManager[Client]:
    """A client that may do everything."""
    return client(cluster, "admin", "trireme")
