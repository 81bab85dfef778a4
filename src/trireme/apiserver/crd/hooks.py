"""Webhooks over HTTPS: at a URL, or at a Service of the cluster.

In: the configuration of the client, a body. Out: status and body. A Service is reached at one of
its ready endpoints; its certificate is checked for ``<name>.<namespace>.svc``.
"""

from __future__ import annotations

import asyncio
import ssl
from functools import lru_cache
from random import Random
from typing import Any

from yarl import URL

from trireme.api.core.v1.service import Service
from trireme.apiserver import outgoing
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.crd.convert import Hooks
from trireme.apiserver.nodes import services
from trireme.apiserver.outgoing import Outgoing

_LIMIT = 16 * 1024 * 1024


class HttpsHooks:
    """Owned by the API server: ``close`` when done."""

    def __init__(self, reader: Reader, rng: Random) -> None:
        self._reader = reader
        self._rng = rng
        # Of a URL the administrator decides; where a Service leads, others do.
        self._of_url, self._of_service = Outgoing(), Outgoing(filtered=True)
        self._delegate: Hooks | None = None

    def call_through(self, hooks: Hooks) -> None:
        """Let others ask: this process has no connections."""
        self._delegate = hooks

    async def __call__(self, config: Any, body: bytes, timeout: float) -> tuple[int, bytes]:
        """POST; raises OSError in words when nobody answers."""
        if self._delegate is not None:
            return await self._delegate(config, body, timeout)
        url, server_name = self._target(config)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if server_name is not None:
            headers["Host"] = server_name
        outgoing_ = self._of_url if server_name is None else self._of_service
        try:
            async with asyncio.timeout(timeout):
                response = await outgoing_.request(
                    "POST",
                    url,
                    headers,
                    body,
                    tls=_context(config.caBundle),
                    server_name=server_name,
                )
                return response.status, await outgoing.read(response, _LIMIT)
        except TimeoutError:
            raise OSError(f'Post "{url}": context deadline exceeded') from None
        except outgoing.FAILURES as problem:
            target = URL(url, encoded=True)
            message = outgoing.explain(problem, target.host or "", target.port or 0)
            raise OSError(f'Post "{url}": {message}') from None

    def _target(self, config: Any) -> tuple[str, str | None]:
        if config.service is None:
            return config.url, None
        reference = config.service
        port = reference.port or 443
        name = f"{reference.name}.{reference.namespace}.svc"
        service = self._reader.get(Service, reference.namespace, reference.name)
        if service is None:
            raise OSError(f'Post "https://{name}:{port}": service "{reference.name}" not found')
        if service.spec.type == "ExternalName":
            return f"https://{service.spec.externalName}:{port}{_path(reference.path)}", name
        served = next((item for item in service.spec.ports if item.port == port), None)
        if served is None:
            raise OSError(f'no service port {port} found for service "{reference.name}"')
        choices = services.backends(self._reader, reference.namespace, reference.name, served.name)
        if not choices:
            raise OSError(f'no endpoints available for service "{reference.name}"')
        host, number = self._rng.choice(choices)
        host = f"[{host}]" if ":" in host else host
        return f"https://{host}:{number}{_path(reference.path)}", name

    async def close(self) -> None:
        """Close what is open."""
        for each in (self._of_url, self._of_service):
            await each.close()


def _path(path: str | None) -> str:
    text = path or ""
    return text if text.startswith("/") or not text else f"/{text}"


@lru_cache(maxsize=256)
def _context(bundle: bytes) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=bundle.decode() if bundle else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
