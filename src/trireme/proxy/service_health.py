"""The health of Services on this node, for load balancers: a Service with the external traffic
policy Local is healthy where it has an endpoint.

In: Service ports. Out: an HTTP server at each healthCheckNodePort. Run by ``run``. Upstream:
pkg/proxy/healthcheck/service_health.go; https://kubernetes.io/docs/reference/networking/
virtual-ips/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType

import msgspec
from aiohttp import web

from trireme.kit.env import Env
from trireme.proxy.health import Health
from trireme.proxy.model import Key, ServicePort


def local_endpoints(ports: Sequence[ServicePort]) -> int:
    """How many ready endpoints a Service has on this node."""
    return len({one.address for port in ports for one in port.local if one.ready})


class _Served:
    def __init__(self, port: int, runner: web.ServerRunner) -> None:
        self.port = port
        self.runner = runner


class ServiceHealth:
    """The servers, open while the ``async with`` lasts. ``addresses`` are the node's."""

    def __init__(self, addresses: Sequence[str], health: Health, env: Env) -> None:
        self._addresses = addresses
        self._health = health
        self._log = env.log
        self._served: dict[Key, _Served] = {}
        self._endpoints: dict[Key, int] = {}

    async def __aenter__(self) -> ServiceHealth:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for key in list(self._served):
            await self._close(key)

    async def update(self, services: Mapping[Key, tuple[ServicePort, ...]]) -> None:
        """Serve these Services' health and no others'. A port that is in use is logged, and tried
        again with the next change."""
        desired = {
            key: ports[0].health_port
            for key, ports in services.items()
            if ports and ports[0].health_port
        }
        self._endpoints = {key: local_endpoints(services[key]) for key in desired}
        for key, served in list(self._served.items()):
            if desired.get(key) != served.port:
                await self._close(key)
        for key, port in desired.items():
            if key not in self._served:
                await self._open(key, port)

    async def _open(self, key: Key, port: int) -> None:
        async def answer(request: web.BaseRequest) -> web.Response:
            return self._answer(key)

        runner = web.ServerRunner(web.Server(answer, access_log=None))
        await runner.setup()
        try:
            for address in self._addresses:
                await web.TCPSite(runner, address, port, reuse_address=True).start()
        except OSError as error:
            await runner.cleanup()
            self._log.error("health check of Service %s/%s: %s", *key, error)
            return
        self._served[key] = _Served(port, runner)

    async def _close(self, key: Key) -> None:
        await self._served.pop(key).runner.cleanup()

    def _answer(self, key: Key) -> web.Response:
        endpoints = self._endpoints.get(key, 0)
        healthy, _ = self._health.report()
        body = {
            "service": {"namespace": key[0], "name": key[1]},
            "localEndpoints": endpoints,
            "serviceProxyHealthy": healthy,
        }
        return web.Response(
            status=200 if endpoints and healthy else 503,
            body=msgspec.json.encode(body),
            content_type="application/json",
            headers={
                "X-Content-Type-Options": "nosniff",
                "X-Load-Balancing-Endpoint-Weight": str(endpoints),
            },
        )
