"""The kubelet's HTTPS server.

In: requests of the API server and of monitoring. Out: logs, streams, statistics, health.
Started by the component through ``serve``. Rules: reference "HTTP server". Every request but a
liveness check is authenticated and authorized first; 401 and 403 are plain text.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import prometheus_client
from aiohttp import web
from aiohttp.web_request import BaseRequest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from trireme.api.core import v1 as core
from trireme.kit.connections import Front, OtherHTTP, refusal
from trireme.kubelet import podspec
from trireme.kubelet.component import Kubelet
from trireme.kubelet.config import ServerConfig
from trireme.kubelet.configuration import convert
from trireme.kubelet.cri.contract import RuntimeFailure
from trireme.kubelet.logs import read
from trireme.kubelet.node import machine
from trireme.kubelet.server import logs, portforward, routes, stats, streams
from trireme.kubelet.server.auth import Auth
from trireme.kubelet.worker import Worker
from trireme.runtime.serving.delegated import Refused

JSON = "application/json"
METRICS = "text/plain; version=0.0.4; charset=utf-8"
Parameters = dict[str, str]  # of the path: namespace, pod, uid, container
Handler = Callable[["BaseRequest", Parameters], Awaitable[web.StreamResponse]]


class Failed(Exception):
    """An error response with this status and text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


async def serve(kubelet: Kubelet, group: asyncio.TaskGroup) -> None:
    """Listen as ``kubelet.config.server`` says; returns when connections are accepted."""
    config = kubelet.config.server
    if config is None:
        raise ValueError("the kubelet's configuration has no server")
    app = App(kubelet, config)
    server = Front(app.handle, kubelet.env.log)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        server, config.address, config.port, ssl=_context(config), reuse_address=True
    )
    group.create_task(_until_cancelled(server, listening), name="kubelet server")


class App:
    """Authenticates and authorizes, then calls the handler of the endpoint (``routes``)."""

    def __init__(self, kubelet: Kubelet, config: ServerConfig) -> None:
        self._kubelet = kubelet
        self._env = kubelet.env
        self._runtime = kubelet.parts.runtime
        self._auth = Auth(kubelet.env, kubelet.parts.client, kubelet.config.node_name, config)
        self._rates = stats.Rates()
        self._handlers: dict[str, Handler] = {
            "healthz": self._healthz,
            "configz": self._configz,
            "metrics": self._metrics,
            "no metrics": self._no_metrics,
            "resource metrics": self._resource_metrics,
            "pods": self._pods,
            "running pods": self._running_pods,
            "stats": self._stats,
            "logs": self._logs,
            "exec": self._exec,
            "attach": self._attach,
            "run": self._run,
            "port forward": self._port_forward,
        }

    async def handle(self, request: BaseRequest) -> web.StreamResponse:
        """The handler of every request; errors become a status and a text."""
        if isinstance(request, OtherHTTP):
            return refusal()
        try:
            await self._auth.check(
                _certificate(request),
                request.headers.get("Authorization", ""),
                request.method,
                request.path,
            )
            name, parameters = routes.find(request.method, request.path)
            return await self._handlers[name](request, parameters)
        except routes.NoRoute as none:
            headers = {"Allow": none.allow} if none.allow else None
            return web.Response(status=none.status, text=none.text, headers=headers)
        except (Failed, Refused) as failed:
            return web.Response(status=failed.status, text=failed.text)
        except (RuntimeFailure, streams.StreamFailed) as failure:
            return web.Response(status=500, text=str(failure))
        except ConnectionError:
            # The client is gone: aiohttp closes the connection.
            raise
        except OSError as error:
            self._env.log.warning("%s %s: %s", request.method, request.path, error)
            return web.Response(status=500, text=f"Internal Error: {error}")

    # ---- about the node

    async def _healthz(self, request: BaseRequest, of: Parameters) -> web.StreamResponse:
        problem = self._kubelet.pleg.problem()
        if problem and not request.path.rstrip("/").endswith(("/ping", "/log")):
            raise Failed(500, problem)
        return web.Response(text="ok")

    async def _pods(self, request: BaseRequest, of: Parameters) -> web.StreamResponse:
        return _pod_list(self._with_status(worker) for worker in self._workers())

    async def _running_pods(self, request: BaseRequest, of: Parameters) -> web.StreamResponse:
        return _pod_list(
            self._with_status(worker)
            for worker in self._workers()
            if worker.pod.metadata.uid in self._kubelet.pleg.pods
        )

    async def _configz(self, request: BaseRequest, of: Parameters) -> web.StreamResponse:
        served = convert.document_of(self._kubelet.config)
        return web.Response(body=msgspec.json.encode({"kubeletconfig": served}), content_type=JSON)

    async def _metrics(self, request: BaseRequest, of: Parameters) -> web.StreamResponse:
        registry = self._env.metrics
        own = [*self._own_metrics(), *stats.volume_metrics(await self._kubelet.volumes.usages())]
        return _text(prometheus_client.generate_latest(registry) + _render(own))

    async def _no_metrics(self, request: BaseRequest, of: Parameters) -> web.StreamResponse:
        return _text(b"")

    async def _resource_metrics(self, request: BaseRequest, of: Parameters) -> web.StreamResponse:
        used = await self._used()
        # Where the group of all pods is: the machine, or a local node's part of it.
        group = os.path.dirname(self._kubelet.config.cgroup_parent).rstrip("/")
        node = self._kubelet.parts.cgroups.usage(group)
        return _text(_render(stats.metrics(used, node, self._env.clock.now())))

    async def _stats(self, request: BaseRequest, of: Parameters) -> web.StreamResponse:
        host = self._kubelet.parts.host
        document = stats.summary(
            self._kubelet.config.node_name,
            await self._used(),
            machine.meminfo(host),
            host.disk_usage(self._kubelet.config.root_dir),
            await self._kubelet.volumes.usages(),
            self._env.clock.now(),
        )
        return web.Response(body=msgspec.json.encode(document), content_type=JSON)

    # ---- about containers

    async def _logs(self, request: BaseRequest, of: Parameters) -> web.StreamResponse:
        name, container = of["pod"], of["container"]
        worker = self._find(of, f'pod "{name}" does not exist')
        if podspec.find(worker.pod, container) is None:
            raise Failed(404, f'container "{container}" not found in pod "{name}"')
        status = self._kubelet.statuses.get(worker.uid) or worker.pod.status
        try:
            options = logs.options(request.query, self._env.clock.now())
            container_id = logs.container_id(
                worker.pod, status, container, previous=request.query.get("previous") == "true"
            )
        except logs.NoLogs as problem:
            raise Failed(400, str(problem)) from problem
        try:
            path = (await self._runtime.container_status(container_id)).log_path
        except RuntimeFailure as failure:
            raise Failed(
                500,
                "unable to retrieve container logs for "
                f"{self._kubelet.config.runtime_name}://{container_id}",
            ) from failure
        try:
            file = self._kubelet.logs.open(path)
        except OSError as error:
            raise Failed(400, f'failed to open log file "{path}": {error.strerror}') from error
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.enable_chunked_encoding()
        try:
            await response.prepare(request)
        except BaseException:
            file.close()
            raise
        try:
            async for text in read.stream(
                self._kubelet.logs,
                path,
                file,
                options,
                self._env.clock,
                lambda: self._is_running(container_id),
            ):
                if text:
                    await response.write(text)
            await response.write_eof()
        except ConnectionError:
            return response
        return response

    async def _exec(self, request: BaseRequest, of: Parameters) -> web.StreamResponse:
        which = _streams(request.query)
        container_id = await self._container_id(of)
        command = request.query.getall("command", [])
        if not command:
            raise Failed(400, "you must specify at least one command")
        url = await self._runtime.exec_url(container_id, command, **which)
        return await self._relay(request, url)

    async def _attach(self, request: BaseRequest, of: Parameters) -> web.StreamResponse:
        which = _streams(request.query)
        url = await self._runtime.attach_url(await self._container_id(of), **which)
        return await self._relay(request, url)

    async def _port_forward(self, request: BaseRequest, of: Parameters) -> web.StreamResponse:
        worker = self._find(of)
        if of.get("uid", worker.uid) != worker.uid:
            raise Failed(404, "pod not found")
        observed = await self._kubelet.inspector.pod(worker.uid)
        if not observed.sandboxes or not observed.sandboxes[0].ready:
            raise Failed(500, f'pod not found ("{of["pod"]}_{of["namespace"]}")')
        sandbox = observed.sandboxes[0].id
        if portforward.is_asked(request):
            namespace = await self._runtime.network_namespace(sandbox)
            dial = None if namespace is None else portforward.into(namespace)
            if dial is not None:
                return await portforward.serve(request, dial, sandbox)
        ports = [int(port) for port in request.query.getall("port", []) if port.isdigit()]
        url = await self._runtime.port_forward_url(sandbox, ports)
        return await self._relay(request, url)

    async def _run(self, request: BaseRequest, of: Parameters) -> web.StreamResponse:
        container_id = await self._container_id(of)
        command = request.query.get("cmd", "").split(" ")
        result = await self._runtime.exec_sync(container_id, command, 0)
        if result.exit_code != 0:
            error = result.stderr.decode("utf-8", "replace")
            what = " ".join(command)
            raise Failed(500, f"command '{what}' exited with {result.exit_code}: {error}")
        return web.Response(body=result.stdout + result.stderr, content_type=JSON)

    async def _relay(self, request: BaseRequest, url: str) -> web.StreamResponse:
        if "upgrade" not in request.headers.get("Connection", "").lower():
            raise Failed(500, "Upgrade request required\n")
        return await streams.relay(request, url)

    # ---- inside

    def _workers(self) -> list[Worker]:
        found = (
            self._kubelet.workers.get(pod.metadata.uid) for pod in self._kubelet.workers.pods()
        )
        return [worker for worker in found if worker is not None]

    def _with_status(self, worker: Worker) -> core.Pod:
        """The pod with the newest status that the kubelet computed."""
        status = self._kubelet.statuses.get(worker.uid)
        return worker.pod if status is None else msgspec.structs.replace(worker.pod, status=status)

    def _find(self, of: Parameters, missing: str = "pod does not exist") -> Worker:
        worker = self._kubelet.workers.find(of["namespace"], of["pod"])
        if worker is None:
            raise Failed(404, missing)
        return worker

    async def _container_id(self, of: Parameters) -> str:
        """The running container's id."""
        worker, name = self._find(of), of["container"]
        observed = await self._kubelet.inspector.pod(worker.uid)
        latest = observed.latest(name)
        if latest is None or not latest.running:
            raise Failed(500, f'container not found ("{name}")')
        return latest.id

    async def _is_running(self, container_id: str) -> bool:
        try:
            status = await self._runtime.container_status(container_id)
        except RuntimeFailure:
            return False
        return status.finished_at == 0

    async def _used(self) -> list[stats.Container]:
        return stats.containers(await self._runtime.list_stats(), self._rates)

    def _own_metrics(self) -> list[Any]:
        name = GaugeMetricFamily(
            "kubelet_node_name", "The node's name. The count is always 1.", labels=["node"]
        )
        name.add_metric([self._kubelet.config.node_name], 1)
        running = GaugeMetricFamily("kubelet_running_pods", "Pods with a running sandbox")
        running.add_metric([], len(self._kubelet.pleg.pods))
        desired = GaugeMetricFamily(
            "kubelet_desired_pods", "Pods that the API gave to this node", labels=["static"]
        )
        desired.add_metric([""], len(self._kubelet.workers.pods()))
        evictions = CounterMetricFamily(
            "kubelet_evictions", "Pods that were evicted", labels=["eviction_signal"]
        )
        for signal, count in self._kubelet.eviction.evictions.items():
            evictions.add_metric([signal], count)
        return [name, running, desired, evictions]


class _Families:
    """A registry of given metric families."""

    def __init__(self, families: list[Any]) -> None:
        self._families = families

    def collect(self) -> list[Any]:
        return self._families


def _render(families: list[Any]) -> bytes:
    return prometheus_client.generate_latest(_Families(families))


def _pod_list(pods: Any) -> web.Response:
    body = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": list(pods)}
    return web.Response(body=msgspec.json.encode(body), content_type=JSON)


def _text(body: bytes) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": METRICS})


def _streams(query: Mapping[str, str]) -> dict[str, bool]:
    """The requested streams. Raises ``Failed`` when there are none."""

    def on(*names: str) -> bool:
        return any(query.get(name, "").lower() in ("1", "true") for name in names)

    which = {
        "stdin": on("input", "stdin"),
        "stdout": on("output", "stdout"),
        "stderr": on("error", "stderr") and not on("tty"),
    }
    if not any(which.values()):
        raise Failed(400, "you must specify at least 1 of stdin, stdout, stderr")
    return {**which, "tty": on("tty")}


def _certificate(request: BaseRequest) -> dict[str, Any] | None:
    if request.transport is None:
        return None
    return request.transport.get_extra_info("peercert") or None


def _context(config: ServerConfig) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(config.certificate_file, config.key_file)
    if config.client_ca_file:
        context.load_verify_locations(config.client_ca_file)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


async def _until_cancelled(server: web.Server, listening: asyncio.Server) -> None:
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        listening.close()
        await server.shutdown(timeout=1)
