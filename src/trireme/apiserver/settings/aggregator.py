"""How the API server reaches aggregated ones."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from trireme.kit.pki import Pair


class Transport(Protocol):
    """Requests to any address, and connections for bytes: what ``outgoing.Outgoing`` does."""

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        tls: ssl.SSLContext | bool = True,
        server_name: str | None = None,
    ) -> aiohttp.ClientResponse: ...

    async def connect(
        self, host: str, port: int, tls: ssl.SSLContext | None, server_name: str | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]: ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class AggregatorSettings:
    """``client`` is the certificate by which aggregated API servers trust what is said of the user
    (--proxy-client-cert-file, --proxy-client-key-file). ``transport`` replaces connections to
    global unicast addresses."""

    client: Pair | None = None
    # --aggregator-reject-forwarding-redirect.
    reject_redirects: bool = True
    transport: Transport | None = None
