"""/metrics, /statusz and /flagz. Upstream: component-base ``metrics`` and ``zpages``.

Who may see them is RBAC's matter: the role system:monitoring is made for it.
"""

from __future__ import annotations

import asyncio

import prometheus_client

from trireme.apiserver.config import VERSION
from trireme.apiserver.context import ServerContext
from trireme.apiserver.handlers import Route
from trireme.apiserver.reply.reply import AnyReply, Reply
from trireme.apiserver.request import Request
from trireme.runtime.serving import zpages

_TEXT = "text/plain; charset=utf-8"
_NAME = "kube-apiserver"
_PATHS = ("/flagz", "/healthz", "/livez", "/metrics", "/readyz", "/version")


async def metrics(context: ServerContext, _request: Request) -> AnyReply:
    """All metrics in Prometheus' text format, made in a thread: they may be many."""
    registry = context.env.metrics
    await context.storage.look()
    body = await asyncio.to_thread(prometheus_client.generate_latest, registry)
    return Reply(200, body, prometheus_client.CONTENT_TYPE_LATEST)


async def statusz(context: ServerContext, _request: Request) -> AnyReply:
    """Since when which version runs."""
    text = zpages.statusz(_NAME, VERSION, context.began, context.env.clock.now(), list(_PATHS))
    return Reply(200, text.encode(), _TEXT)


async def flagz(context: ServerContext, _request: Request) -> AnyReply:
    """The flags that were given."""
    return Reply(200, zpages.flagz(_NAME, context.config.flags).encode(), _TEXT)


METRICS = Route("/metrics", metrics)
STATUSZ = Route("/statusz", statusz)
FLAGZ = Route("/flagz", flagz)
