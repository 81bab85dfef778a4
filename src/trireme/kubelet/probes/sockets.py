"""Probes over real sockets.

In: requests of probes/run. Out: answers, or ``ProbeFailure``. Made by the composition root of a
real node. Certificates are not verified and connections not reused: a probe checks whether the port
answers now.
"""

from __future__ import annotations

import asyncio

import aiohttp
import grpc
from grpc import aio
from yarl import URL

from trireme.kubelet.probes.run import OUTPUT_LIMIT, HttpAnswer, ProbeFailure, Request
from trireme.machinery.codec.protobuf import wire

MAX_REDIRECTS = 10
# grpc.health.v1.HealthCheckResponse.ServingStatus
SERVING = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")


class SocketTransport:
    """Owned by the composition root: ``close`` when done."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def http(self, request: Request) -> HttpAnswer:
        try:
            return await self._follow(request)
        except TimeoutError as error:
            raise ProbeFailure(
                f'Get "{request.url}": context deadline exceeded (Client.Timeout exceeded while '
                "awaiting headers)"
            ) from error
        except aiohttp.ClientConnectorError as error:
            raise ProbeFailure(
                f'Get "{request.url}": dial tcp {request.host}:{request.port}: '
                f"connect: {_words(error.os_error)}"
            ) from error
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise ProbeFailure(f'Get "{request.url}": {error or type(error).__name__}') from error

    async def tcp(self, host: str, port: int, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                _, writer = await asyncio.open_connection(host, port)
        except TimeoutError as error:
            raise ProbeFailure(f"dial tcp {host}:{port}: i/o timeout") from error
        except OSError as error:
            raise ProbeFailure(f"dial tcp {host}:{port}: connect: {_words(error)}") from error
        writer.close()

    async def grpc(self, host: str, port: int, service: str, timeout: float) -> str:
        # One string field in each direction: encoded by hand.
        body = wire.text(1, service)
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        async with aio.insecure_channel(target) as channel:
            call: aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
                "/grpc.health.v1.Health/Check"
            )
            try:
                answer: bytes = await call(body, timeout=timeout, wait_for_ready=False)
            except aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                    raise ProbeFailure(
                        f'timeout: failed to connect service "{target}" within {timeout:g}s: '
                        "context deadline exceeded"
                    ) from error
                raise ProbeFailure(f"error: health rpc failed: {error.details()}") from error
        number = answer[1] if len(answer) > 1 and answer[0] == 8 else 0
        return SERVING[number] if number < len(SERVING) else "UNKNOWN"

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _follow(self, request: Request) -> HttpAnswer:
        """Follow redirects within the same host; another redirect is the answer."""
        url = request.url
        async with asyncio.timeout(request.timeout):
            for _ in range(MAX_REDIRECTS):
                async with self._open().get(
                    url, headers=dict(request.headers), ssl=False, allow_redirects=False
                ) as response:
                    body = (await response.content.read(OUTPUT_LIMIT)).decode("utf-8", "replace")
                    location = response.headers.get("Location", "")
                    if response.status not in (301, 302, 303, 307, 308) or not location:
                        return HttpAnswer(response.status, body)
                    target = response.url.join(URL(location))
                    if target.host != response.url.host:
                        return HttpAnswer(response.status, body)
                    url = str(target)
        raise ProbeFailure(f'Get "{url}": stopped after {MAX_REDIRECTS} redirects')

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True, limit=0),
                timeout=aiohttp.ClientTimeout(total=None),
                skip_auto_headers=("Accept-Encoding",),
                auto_decompress=False,
            )
        return self._session


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
