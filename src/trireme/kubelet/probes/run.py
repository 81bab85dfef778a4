"""Run one probe of a container.

In: a probe or a lifecycle handler, a container, its address. Out: ``Answer``. Called by
probes/manager and sync/lifecycle. Rules: reference "Probes". Connections are behind ``Transport``:
sockets on a real node, the fake runtime in a test.
"""

from __future__ import annotations

import enum
from typing import Protocol

import msgspec

from trireme.api.core import v1 as core
from trireme.kubelet.cri.contract import Runtime, RuntimeFailure

OUTPUT_LIMIT = 10 * 1024
USER_AGENT = "kube-probe/1.36"


class Verdict(enum.Enum):
    SUCCESS = "it passed"
    WARNING = "it passed, but users should look at it"
    FAILURE = "it did not pass"
    ERROR = "nobody could ask; says nothing about the container"


class Answer(msgspec.Struct, frozen=True):
    verdict: Verdict
    output: str = ""

    @property
    def passed(self) -> bool:
        return self.verdict in (Verdict.SUCCESS, Verdict.WARNING)


class HttpAnswer(msgspec.Struct, frozen=True):
    """``status`` of the last response; ``body`` cut to the output limit."""

    status: int
    body: str


class Request(msgspec.Struct, frozen=True):
    scheme: str
    host: str
    port: int
    path: str
    headers: tuple[tuple[str, str], ...]
    timeout: float

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        path = self.path if self.path.startswith("/") else f"/{self.path}"
        return f"{self.scheme}://{host}:{self.port}{path}"


class Transport(Protocol):
    """Raises ``ProbeFailure`` with the text for the event."""

    async def http(self, request: Request) -> HttpAnswer: ...

    async def tcp(self, host: str, port: int, timeout: float) -> None: ...

    async def grpc(self, host: str, port: int, service: str, timeout: float) -> str:
        """The health service's status name: SERVING, NOT_SERVING ..."""
        ...


class ProbeFailure(Exception):
    """No valid answer; the text is for the event."""


class Prober:
    """Runs handlers. Stateless."""

    def __init__(self, runtime: Runtime, transport: Transport) -> None:
        self._runtime = runtime
        self._transport = transport

    async def probe(
        self, probe: core.Probe, container: core.Container, container_id: str, pod_ip: str
    ) -> Answer:
        timeout = float(probe.timeoutSeconds or 1)
        try:
            if probe.exec is not None:
                return await self._exec(probe.exec, container_id, timeout)
            if probe.httpGet is not None:
                return await self._http(request(probe.httpGet, container, pod_ip, timeout))
            if probe.tcpSocket is not None:
                host, port = probe.tcpSocket.host or pod_ip, probe.tcpSocket.port
                await self._transport.tcp(host, port_number(port, container), timeout)
                return Answer(Verdict.SUCCESS)
            if probe.grpc is not None:
                return await self._grpc(probe.grpc, pod_ip, timeout)
        except ProbeFailure as failure:
            return Answer(Verdict.FAILURE, str(failure))
        return Answer(Verdict.FAILURE, "missing probe handler")

    async def http_hook(
        self, action: core.HTTPGetAction, container: core.Container, pod_ip: str, timeout: float
    ) -> None:
        """A lifecycle hook's request: any response will do. Raises ``ProbeFailure``."""
        await self._transport.http(request(action, container, pod_ip, timeout))

    async def _exec(self, action: core.ExecAction, container_id: str, timeout: float) -> Answer:
        try:
            result = await self._runtime.exec_sync(container_id, list(action.command), timeout)
        except RuntimeFailure as failure:
            if failure.code == "DEADLINE_EXCEEDED":
                command = " ".join(action.command)
                return Answer(
                    Verdict.FAILURE, f'command timed out: "{command}" timed out after {timeout:g}s'
                )
            return Answer(Verdict.ERROR, str(failure))
        output = (result.stdout + result.stderr)[:OUTPUT_LIMIT].decode("utf-8", "replace")
        return Answer(Verdict.SUCCESS if result.exit_code == 0 else Verdict.FAILURE, output)

    async def _http(self, request: Request) -> Answer:
        answer = await self._transport.http(request)
        if 200 <= answer.status < 300:
            return Answer(Verdict.SUCCESS, answer.body)
        if 300 <= answer.status < 400:
            return Answer(
                Verdict.WARNING, f"Probe terminated redirects, Response body: {answer.body}"
            )
        return Answer(Verdict.FAILURE, f"HTTP probe failed with statuscode: {answer.status}")

    async def _grpc(self, action: core.GRPCAction, pod_ip: str, timeout: float) -> Answer:
        status = await self._transport.grpc(pod_ip, action.port, action.service or "", timeout)
        if status == "SERVING":
            return Answer(Verdict.SUCCESS)
        return Answer(Verdict.FAILURE, f'service unhealthy (responded with "{status}")')


def request(
    action: core.HTTPGetAction, container: core.Container, pod_ip: str, timeout: float
) -> Request:
    """Raises ``ProbeFailure`` for a port name that the container does not have."""
    headers = [(header.name, header.value) for header in action.httpHeaders]
    names = {name.lower() for name, _ in headers}
    if "user-agent" not in names:
        headers.append(("User-Agent", USER_AGENT))
    if "accept" not in names:
        headers.append(("Accept", "*/*"))
    # An empty value suppresses a default header.
    kept = tuple(
        (name, value)
        for name, value in headers
        if value or name.lower() not in ("accept", "user-agent")
    )
    return Request(
        (action.scheme or "HTTP").lower(),
        action.host or pod_ip,
        port_number(action.port, container),
        action.path or "/",
        kept,
        timeout,
    )


def port_number(port: int | str, container: core.Container) -> int:
    if isinstance(port, int):
        number = port
    elif port.isdigit():
        number = int(port)
    else:
        number = next((p.containerPort for p in container.ports if p.name == port), 0)
        if not number:
            raise ProbeFailure(f"couldn't find port: {port}")
    if not 0 < number < 65536:
        raise ProbeFailure(f"invalid port number: {number}")
    return number
