"""A webhook of others: a real HTTPS server in the test's process, and its authority."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from trireme.kit import pki, tls

NOW = time.time()
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class HookServer:
    """Where it listens; ``seen`` are the bodies that it got, by path."""

    port: int
    authority: bytes
    seen: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def client(self, path: str = "/") -> dict[str, Any]:
        """The client configuration that leads to ``path``."""
        bundle = base64.b64encode(self.authority).decode()
        return {"url": f"https://127.0.0.1:{self.port}{path}", "caBundle": bundle}


@asynccontextmanager
async def serve(
    handlers: dict[str, Handler], names: tuple[str, ...] = ("127.0.0.1",)
) -> AsyncIterator[HookServer]:
    """Serve handlers by path."""
    authority = pki.new_authority("webhook authority", NOW)
    pair = pki.issue(authority, "webhook", NOW, names=names, server=True)
    app = web.Application(client_max_size=32 * 1024 * 1024)
    for path, handler in handlers.items():
        app.router.add_post(path, handler)
    runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    context = tls.server_context(pair, b"")
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield HookServer(runner.addresses[0][1], authority.certificate)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def admission(
    answers: dict[str, Callable[[dict[str, Any]], Any]],
) -> AsyncIterator[HookServer]:
    """Webhooks by path, each from the request of a review to the fields of its response."""
    known: list[HookServer] = []

    def handler(path: str, answer: Callable[[dict[str, Any]], Any]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            review = await request.json()
            known[0].seen.setdefault(path, []).append(review)
            asked = review.pop("request")
            review["request"] = asked
            response = answer(asked)
            if isinstance(response, Awaitable):
                response = await response
            if isinstance(response, web.StreamResponse):
                return response
            body = {"uid": asked["uid"], "allowed": True, **response}
            return web.json_response(
                {"kind": review["kind"], "apiVersion": review["apiVersion"], "response": body}
            )

        return handle

    handlers = {path: handler(path, answer) for path, answer in answers.items()}
    async with serve(handlers) as server:
        known.append(server)
        yield server


def patch(*steps: dict[str, Any]) -> dict[str, Any]:
    """The part of a response that patches the object."""
    text = base64.b64encode(json.dumps(steps).encode()).decode()
    return {"patch": text, "patchType": "JSONPatch"}


def webhook(name: str, client: dict[str, Any], **given: Any) -> dict[str, Any]:
    """A webhook for ConfigMaps, unless said otherwise."""
    rule = {
        "operations": ["*"],
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "resources": ["configmaps"],
    }
    base: dict[str, Any] = {
        "name": name,
        "clientConfig": client,
        "rules": [rule],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    return base | given


def configuration(kind: str, name: str, *webhooks: dict[str, Any]) -> dict[str, Any]:
    """A Mutating- or ValidatingWebhookConfiguration."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind}WebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": list(webhooks),
    }


def rule(
    groups: str, versions: str, resources: str, operations: str = "*", **more: Any
) -> dict[str, Any]:
    """A rule; each part is separated by blanks."""
    return {
        "operations": operations.split(),
        "apiGroups": ["" if item == "core" else item for item in groups.split()],
        "apiVersions": versions.split(),
        "resources": resources.split(),
        **more,
    }
