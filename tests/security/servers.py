"""Servers that do not mean well, on loopback, and what leads the API server to them."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.web_request import BaseRequest

from trireme.apiserver.nodes.contract import KubeletAccess
from trireme.kit import pki, tls
from trireme.kit.pki import Pair

NOW = time.time()
AUTHORITY = pki.new_authority("kubernetes", NOW)
ACCESS = KubeletAccess(
    pki.issue(AUTHORITY, "kube-apiserver-kubelet-client", NOW), AUTHORITY.certificate
)
Answer = Callable[[BaseRequest], Awaitable[web.StreamResponse]]


class Seen(list[BaseRequest]):
    """The requests that a server got, and where it listens."""

    port = 0


def serving(node: str, *names: str) -> Pair:
    """A kubelet's serving certificate as the signer kubernetes.io/kubelet-serving makes them."""
    groups = ["system:nodes"]
    return pki.issue(
        AUTHORITY, f"system:node:{node}", NOW, organizations=groups, names=names, server=True
    )


@asynccontextmanager
async def server(
    answer: Answer | None = None, pair: Pair | None = None, clients: Pair = AUTHORITY
) -> AsyncIterator[Seen]:
    """A server that remembers what it was asked; with ``pair`` over TLS. ``clients`` is the
    authority of its clients."""
    received = Seen()

    async def handle(request: BaseRequest) -> web.StreamResponse:
        received.append(request)
        return web.Response(text="served") if answer is None else await answer(request)

    context = None
    if pair is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_verify_locations(cadata=clients.certificate.decode())
        context.verify_mode = ssl.CERT_OPTIONAL
        tls.load_pair(context, pair)
    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        received.port = runner.addresses[0][1]
        yield received
    finally:
        await runner.cleanup()


def redirects_to(port: int, scheme: str = "https") -> Answer:
    """Sends every caller to another port, with its method and body."""

    async def answer(request: BaseRequest) -> web.StreamResponse:
        url = f"{scheme}://127.0.0.1:{port}{request.path_qs}"
        return web.Response(status=307, headers={"Location": url})

    return answer


def node(name: str, port: int, *addresses: tuple[str, str]) -> dict[str, Any]:
    """A Node whose kubelet listens on a port."""
    listed = addresses or (("InternalIP", "127.0.0.1"),)
    return {
        "metadata": {"name": name},
        "status": {
            "addresses": [{"type": kind, "address": address} for kind, address in listed],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        },
    }


def pod(name: str, node: str = "", **spec: Any) -> dict[str, Any]:
    containers = [{"name": "c", "image": "i:1"}]
    more = {"nodeName": node} if node else {}
    return {"metadata": {"name": name}, "spec": {"containers": containers, **more, **spec}}
