"""A fake container runtime, for in-process nodes.

In: the kubelet's CRI calls, and ``Behaviour`` values, one for each container. Out: states, exit
codes, log files, probe answers, all in the time of ``env.clock``. It implements
``kubelet.cri.contract.Runtime`` and ``kubelet.probes.run.Transport``; tests steer it through
``behave``, ``crash``, ``finish`` and ``probe``.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from trireme.kit import waiting
from trireme.kit.env import Env
from trireme.kubelet import nanotime
from trireme.kubelet.cri import model
from trireme.kubelet.cri.contract import RuntimeFailure
from trireme.kubelet.cri.model import ContainerState, NamespaceMode, SandboxState
from trireme.kubelet.host.contract import Host
from trireme.kubelet.labels import POD_NAME, POD_NAMESPACE, POD_UID
from trireme.kubelet.probes.run import HttpAnswer, ProbeFailure, Request
from trireme.testing.fake_containers import FakeContainer, FakeSandbox
from trireme.testing.runtime_state import Behaviour as Behaviour
from trireme.testing.runtime_state import State

Behave = Callable[[model.ContainerConfig, model.SandboxConfig], Behaviour | None]
# (pod name, container or "", kind of probe, detail) -> passed
ProbeHook = Callable[[str, str, str, str], bool]
SIGKILLED = 137


class FakeRuntime:
    """The runtime of one fake node. ``close`` ends its tasks."""

    def __init__(
        self,
        env: Env,
        host: Host | None = None,
        *,
        network: str = "10.88.0.0/16",
        behave: Behave | None = None,
        images: tuple[str, ...] = (),
        pull_seconds: float = 0.0,
        with_events: bool = True,
    ) -> None:
        self._env = env
        self._host = host
        self._behave = behave or (lambda container, sandbox: None)
        self._behaviours: dict[tuple[str, str], Behaviour] = {}
        self._network = network
        self._addresses: Iterator[Any] = iter(ipaddress.ip_network(network).hosts())
        self._given_away = 0
        self._images: dict[str, model.Image] = {}
        self._next_id = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: set[asyncio.Queue[str]] = set()
        self._with_events = with_events
        self.sandboxes: dict[str, FakeSandbox] = {}
        self.containers: dict[str, FakeContainer] = {}
        self.pull_seconds = pull_seconds
        self.pull_errors: dict[str, str] = {}
        self.sandbox_error = ""
        self.handlers = {""}
        self.network_ready = True
        self.update_problem = ""
        self.image_mounts = False
        self.view_problem = ""
        self.views: dict[str, str] = {}
        self.probe: ProbeHook | None = None
        self.execs: list[tuple[str, str, tuple[str, ...]]] = []
        # (pod name, container) -> bytes of memory and of the writable layer.
        self.usage: dict[tuple[str, str], tuple[int, int]] = {}
        self.exec_results: dict[tuple[str, ...], model.ExecResult] = {}
        self.exec_seconds: dict[tuple[str, ...], float] = {}
        for image in images:
            self.add_image(image)

    # ---- for tests

    def set_behaviour(self, pod: str, container: str, behaviour: Behaviour) -> None:
        """Set the behaviour of new containers of that pod (name) and name."""
        self._behaviours[pod, container] = behaviour

    def add_image(self, name: str, size: int = 1_000_000, user: int | None = None) -> None:
        tagged = name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"
        digest = f"sha256:{hashlib.sha256(tagged.encode()).hexdigest()}"
        self._images[tagged] = model.Image(
            id=digest,
            repo_tags=[tagged],
            size=size,
            uid=user,
            repo_digests=[f"{name.partition(':')[0]}@{digest}"],
        )

    def of_pod(self, pod: str, namespace: str = "default") -> list[FakeContainer]:
        """The pod's containers, oldest first."""
        return [
            c
            for c in self.containers.values()
            if c.config.labels.get(POD_NAME) == pod
            and c.config.labels.get(POD_NAMESPACE) == namespace
        ]

    def running(self, pod: str, container: str, namespace: str = "default") -> FakeContainer:
        """The running container of that name. Raises LookupError."""
        for candidate in self.of_pod(pod, namespace):
            if candidate.name == container and candidate.state == ContainerState.RUNNING:
                return candidate
        raise LookupError(f"no running container {container} in pod {namespace}/{pod}")

    def crash(self, pod: str, container: str, code: int = 1, namespace: str = "default") -> None:
        """End a running container by itself."""
        target = self.running(pod, container, namespace)
        target.forced = code
        target.stopping.set()

    def state(self) -> State:
        """What there is now, as a value."""
        return State(
            [sandbox.record() for sandbox in self.sandboxes.values()],
            [container.record() for container in self.containers.values()],
            dict(self._images),
            self._next_id,
            self._network,
            self._given_away,
        )

    def restore(self, state: State) -> None:
        """Begin with what an earlier runtime held; its running containers go on."""
        self._images |= state.images
        self._next_id = state.next_id
        self._use(state.network, state.addresses)
        for one in state.sandboxes:
            self.sandboxes[one.id] = FakeSandbox.of(one)
        for each in state.containers:
            container = FakeContainer.of(each, self.sandboxes[each.sandbox])
            self.containers[each.id] = container
            if container.state == ContainerState.RUNNING:
                self._run(container)

    # ---- Runtime: sandboxes

    async def version(self) -> model.Version:
        return model.Version(
            version="0.1.0", runtime_name="fake", runtime_version="1.0", runtime_api_version="v1"
        )

    async def status(self) -> model.Status:
        network = model.RuntimeCondition(
            type="NetworkReady",
            status=self.network_ready,
            reason="" if self.network_ready else "NetworkPluginNotReady",
            message="" if self.network_ready else "cni plugin not initialized",
        )
        return model.Status(
            status=model.RuntimeStatus(
                conditions=[model.RuntimeCondition(type="RuntimeReady", status=True), network]
            )
        )

    async def cgroup_driver(self) -> str:
        return ""

    async def update_pod_cidr(self, cidr: str) -> None:
        network = cidr.split(",")[0]
        if network != self._network:
            # The first address is the bridge's.
            self._use(network, 1)

    async def run_sandbox(self, config: model.SandboxConfig, handler: str = "") -> str:
        if self.sandbox_error:
            raise RuntimeFailure("UNKNOWN", self.sandbox_error)
        if handler not in self.handlers:
            message = f'no runtime for "{handler}" is configured'
            raise RuntimeFailure("UNKNOWN", f"failed to get sandbox runtime: {message}")
        options = (
            config.linux.security_context.namespace_options
            if (config.linux and config.linux.security_context)
            else None
        )
        own_network = options is None or options.network == NamespaceMode.POD
        ip = ""
        if own_network:
            ip = str(next(self._addresses))
            self._given_away += 1
        sandbox = FakeSandbox(self._id(), config, ip, self._now(), handler)
        self.sandboxes[sandbox.id] = sandbox
        return sandbox.id

    async def stop_sandbox(self, sandbox_id: str) -> None:
        sandbox = self._sandbox(sandbox_id)
        for container in [c for c in self.containers.values() if c.sandbox is sandbox]:
            if container.state == ContainerState.RUNNING:
                await self.stop_container(container.id, 0)
        sandbox.state = int(SandboxState.NOTREADY)
        self._notify(sandbox)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        await self.stop_sandbox(sandbox_id)
        for container in [c for c in self.containers.values() if c.sandbox.id == sandbox_id]:
            del self.containers[container.id]
        del self.sandboxes[sandbox_id]

    async def sandbox_status(self, sandbox_id: str) -> model.SandboxStatus:
        sandbox = self._sandbox(sandbox_id)
        linux = sandbox.config.linux
        options = (
            linux.security_context.namespace_options if (linux and linux.security_context) else None
        )
        return model.SandboxStatus(
            id=sandbox.id,
            metadata=sandbox.config.metadata,
            state=sandbox.state,
            created_at=sandbox.created_at,
            network=model.SandboxNetwork(ip=sandbox.ip),
            linux=model.LinuxSandboxStatus(namespaces=model.SandboxNamespaces(options=options)),
            labels=sandbox.config.labels,
            annotations=sandbox.config.annotations,
        )

    async def list_sandboxes(self, pod_uid: str = "") -> list[model.Sandbox]:
        return [
            model.Sandbox(
                id=s.id,
                metadata=s.config.metadata,
                state=s.state,
                created_at=s.created_at,
                labels=s.config.labels,
            )
            for s in self.sandboxes.values()
            if not pod_uid or s.config.metadata.uid == pod_uid
        ]

    # ---- Runtime: containers

    async def create_container(
        self, sandbox_id: str, config: model.ContainerConfig, sandbox: model.SandboxConfig
    ) -> str:
        behaviour = self._behaviour(config, sandbox)
        if behaviour.create_error:
            raise RuntimeFailure("UNKNOWN", behaviour.create_error)
        container = FakeContainer(
            self._id(), self._sandbox(sandbox_id), config, behaviour, self._now()
        )
        self.containers[container.id] = container
        return container.id

    async def start_container(self, container_id: str) -> None:
        container = self._container(container_id)
        if container.behaviour.start_seconds:
            await self._env.clock.sleep(container.behaviour.start_seconds)
        if container.behaviour.start_error:
            container.state = int(ContainerState.EXITED)
            container.exit_code, container.reason = 128, "StartError"
            container.started_at = container.finished_at = self._now()
            container.stopped.set()
            raise RuntimeFailure("UNKNOWN", container.behaviour.start_error)
        container.state = int(ContainerState.RUNNING)
        container.started_at = self._now()
        for line in container.behaviour.log:
            self._log(container, line)
        self._run(container)
        self._notify(container.sandbox)

    async def stop_container(self, container_id: str, timeout: int) -> None:
        container = self._container(container_id)
        if container.state != ContainerState.RUNNING:
            return
        container.grace = float(timeout)
        container.stopping.set()
        container.hurry.set()
        await container.stopped.wait()

    async def remove_container(self, container_id: str) -> None:
        await self.stop_container(container_id, 0)
        del self.containers[container_id]

    async def container_status(self, container_id: str) -> model.ContainerStatus:
        container = self._container(container_id)
        config = container.config
        image = config.image.user_specified_image or config.image.image
        log_path = f"{container.sandbox.config.log_directory}/{config.log_path}"
        return model.ContainerStatus(
            id=container.id,
            metadata=config.metadata,
            state=container.state,
            created_at=container.created_at,
            started_at=container.started_at,
            finished_at=container.finished_at,
            exit_code=container.exit_code,
            image=model.ImageSpec(image=image, user_specified_image=image),
            image_ref=config.image.image,
            reason=container.reason,
            labels=config.labels,
            annotations=config.annotations,
            mounts=config.mounts,
            log_path=log_path,
            image_id=config.image.image,
            resources=model.ContainerResources(linux=config.linux.resources)
            if config.linux is not None
            else None,
        )

    async def list_containers(self, pod_uid: str = "") -> list[model.Container]:
        return [
            model.Container(
                id=c.id,
                pod_sandbox_id=c.sandbox.id,
                metadata=c.config.metadata,
                image_ref=c.config.image.image,
                state=c.state,
                created_at=c.created_at,
                labels=c.config.labels,
            )
            for c in self.containers.values()
            if not pod_uid or c.config.labels.get(POD_UID) == pod_uid
        ]

    async def update_resources(self, container_id: str, linux: model.LinuxResources) -> None:
        container = self._container(container_id)
        if self.update_problem:
            raise RuntimeFailure("UNKNOWN", self.update_problem)
        if container.config.linux is not None:
            container.config.linux.resources = linux

    async def reopen_log(self, container_id: str) -> None:
        self._container(container_id)

    async def exec_sync(
        self, container_id: str, command: list[str], timeout: float
    ) -> model.ExecResult:
        container = self._container(container_id)
        pod = container.config.labels.get(POD_NAME, "")
        self.execs.append((pod, container.name, tuple(command)))
        takes = self.exec_seconds.get(tuple(command), 0.0)
        if 0 < timeout < takes:
            await self._env.clock.sleep(timeout)
            raise RuntimeFailure("DEADLINE_EXCEEDED", f"timeout {timeout:g}s exceeded")
        known = self.exec_results.get(tuple(command))
        if known is not None:
            return known
        if self.probe is None or self.probe(pod, container.name, "exec", " ".join(command)):
            return model.ExecResult()
        return model.ExecResult(stderr=b"no", exit_code=1)

    async def exec_url(
        self,
        container_id: str,
        command: list[str],
        *,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        tty: bool,
    ) -> str:
        raise RuntimeFailure("UNIMPLEMENTED", "the fake runtime has no streams")

    async def attach_url(
        self, container_id: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> str:
        raise RuntimeFailure("UNIMPLEMENTED", "the fake runtime has no streams")

    async def port_forward_url(self, sandbox_id: str, ports: list[int]) -> str:
        raise RuntimeFailure("UNIMPLEMENTED", "the fake runtime has no streams")

    async def network_namespace(self, sandbox_id: str) -> str | None:
        return None

    # ---- Runtime: images and statistics

    async def list_images(self) -> list[model.Image]:
        return list(self._images.values())

    async def image_status(self, image: str) -> model.Image | None:
        found = self._images.get(image)
        if found is None:
            found = next((i for i in self._images.values() if i.id == image), None)
        return found

    async def pull_image(
        self, image: model.ImageSpec, auth: model.AuthConfig | None, sandbox: model.SandboxConfig
    ) -> str:
        if self.pull_seconds:
            await self._env.clock.sleep(self.pull_seconds)
        if image.image in self.pull_errors:
            raise RuntimeFailure("UNKNOWN", self.pull_errors[image.image])
        if image.image not in self._images:
            self.add_image(image.image)
        return self._images[image.image].id

    async def mounts_images(self) -> bool:
        return self.image_mounts

    async def view_image(self, key: str, image_id: str) -> list[model.ImageMount]:
        if self.view_problem:
            raise RuntimeFailure("UNIMPLEMENTED", self.view_problem)
        self.views[key] = image_id
        return [
            model.ImageMount(kind="bind", source=f"/images/{image_id}", options=["ro", "rbind"])
        ]

    async def remove_view(self, key: str) -> None:
        self.views.pop(key, None)

    async def remove_image(self, image: str) -> None:
        self._images = {name: i for name, i in self._images.items() if image not in (name, i.id)}

    async def image_fs_info(
        self,
    ) -> tuple[list[model.FilesystemUsage], list[model.FilesystemUsage]]:
        used = sum(image.size for image in self._images.values())
        return [model.FilesystemUsage(timestamp=self._now(), used_bytes=used)], []

    async def list_stats(self) -> list[model.ContainerStats]:
        """Of running containers, as ``usage`` says."""
        return [
            model.ContainerStats(
                attributes=model.ContainerAttributes(
                    id=container.id,
                    metadata=container.config.metadata,
                    labels=container.config.labels,
                ),
                cpu=model.CpuUsage(timestamp=self._now(), usage_core_nano_seconds=0),
                memory=model.MemoryUsage(timestamp=self._now(), working_set_bytes=memory),
                writable_layer=model.FilesystemUsage(timestamp=self._now(), used_bytes=disk),
            )
            for container in self.containers.values()
            if container.state == ContainerState.RUNNING
            for memory, disk in [
                self.usage.get((container.sandbox.config.metadata.name, container.name), (0, 0))
            ]
        ]

    async def events(self) -> AsyncIterator[model.ContainerEvent]:
        if not self._with_events:
            raise RuntimeFailure("UNIMPLEMENTED", "unknown method GetContainerEvents")
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            while True:
                yield model.ContainerEvent(pod_uid=await queue.get())
        finally:
            self._listeners.discard(queue)

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ---- Transport

    async def http(self, request: Request) -> HttpAnswer:
        if self._answers(request.host, "http", f"{request.port}{request.path}"):
            return HttpAnswer(200, "ok")
        return HttpAnswer(503, "not now")

    async def tcp(self, host: str, port: int, timeout: float) -> None:
        if not self._answers(host, "tcp", str(port)):
            raise ProbeFailure(f"dial tcp {host}:{port}: connect: connection refused")

    async def grpc(self, host: str, port: int, service: str, timeout: float) -> str:
        return "SERVING" if self._answers(host, "grpc", f"{port}/{service}") else "NOT_SERVING"

    # ---- inside

    def _use(self, network: str, given_away: int) -> None:
        """Give addresses of ``network``, after the first ``given_away``."""
        self._network, self._given_away = network, given_away
        self._addresses = itertools.islice(ipaddress.ip_network(network).hosts(), given_away, None)

    def _run(self, container: FakeContainer) -> None:
        task = asyncio.create_task(self._life(container), name=f"fake container {container.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _life(self, container: FakeContainer) -> None:
        behaviour = container.behaviour
        code, reason = behaviour.exit_code, behaviour.reason
        left = behaviour.run_seconds
        if left is not None:
            left -= (self._now() - container.started_at) / 1e9
        try:
            async with asyncio.timeout(left):
                await container.stopping.wait()
            if container.forced is not None:
                code, reason = container.forced, ""
            else:
                code, reason = await self._stop(container), ""
        except TimeoutError:
            pass
        container.exit_code = code
        container.reason = reason or ("Completed" if code == 0 else "Error")
        container.finished_at = self._now()
        container.state = int(ContainerState.EXITED)
        if behaviour.termination_message and self._host is not None:
            for mount in container.config.mounts:
                if mount.container_path == "/dev/termination-log":
                    self._host.write(mount.host_path, behaviour.termination_message.encode())
        container.stopped.set()
        self._notify(container.sandbox)

    async def _stop(self, container: FakeContainer) -> int:
        needed, began = container.behaviour.stop_seconds, self._env.clock.monotonic()
        while True:
            container.hurry.clear()
            passed = self._env.clock.monotonic() - began
            # A second, shorter grace may come while the first one runs.
            if not await waiting.wait(container.hurry, min(needed, container.grace) - passed):
                break
        return container.behaviour.stop_code if needed <= container.grace else SIGKILLED

    def _answers(self, ip: str, kind: str, detail: str) -> bool:
        for sandbox in self.sandboxes.values():
            if sandbox.ip == ip and sandbox.state == SandboxState.READY:
                pod = sandbox.config.metadata.name
                return self.probe is None or self.probe(pod, "", kind, detail)
        return False

    def _behaviour(self, config: model.ContainerConfig, sandbox: model.SandboxConfig) -> Behaviour:
        name = config.metadata.name
        return (
            self._behaviours.get((sandbox.metadata.name, name))
            or self._behave(config, sandbox)
            or Behaviour()
        )

    def _log(self, container: FakeContainer, line: str) -> None:
        if self._host is None:
            return
        path = f"{container.sandbox.config.log_directory}/{container.config.log_path}"
        old = self._host.read(path) if self._host.info(path) is not None else b""
        record = f"{nanotime.fixed_nanos(self._now())} stdout F {line}\n"
        self._host.write(path, old + record.encode())

    def _notify(self, sandbox: FakeSandbox) -> None:
        for queue in self._listeners:
            queue.put_nowait(sandbox.config.metadata.uid)

    def _sandbox(self, sandbox_id: str) -> FakeSandbox:
        if sandbox_id not in self.sandboxes:
            raise RuntimeFailure("NOT_FOUND", f'sandbox "{sandbox_id}": not found')
        return self.sandboxes[sandbox_id]

    def _container(self, container_id: str) -> FakeContainer:
        if container_id not in self.containers:
            raise RuntimeFailure("NOT_FOUND", f'container "{container_id}": not found')
        return self.containers[container_id]

    def _id(self) -> str:
        self._next_id += 1
        return f"{self._next_id:064x}"

    def _now(self) -> int:
        return int(self._env.clock.now() * 1e9)
