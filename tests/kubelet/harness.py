"""A kubelet with a fake runtime and a real API server, in this process, under virtual time."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from trireme.api.core import v1 as core
from trireme.apiserver.authn.contract import AUTHENTICATED
from trireme.apiserver.request import User
from trireme.apiserver.server import ApiServer
from trireme.client.client import Client
from trireme.client.transport import Unreachable
from trireme.kit.clock import VirtualClock, VirtualLoop
from trireme.kit.env import Env
from trireme.kubelet.component import Kubelet, Parts
from trireme.kubelet.config import KubeletConfig
from trireme.kubelet.csi.contract import Sockets
from trireme.kubelet.host.memory import MemoryHost
from trireme.kubelet.node.machine import Machine
from trireme.machinery import errors, meta
from trireme.machinery.errors import ApiError
from trireme.runtime.informer import Informers
from trireme.testing import clients, control_plane
from trireme.testing.fake_cri import FakeRuntime
from trireme.testing.memory_cgroups import MemoryCgroups

ADMIN = User("admin", groups=("system:masters", AUTHENTICATED))
NODE = "node-0"
NODE_USER = User(f"system:node:{NODE}", groups=("system:nodes", AUTHENTICATED))


class Api:
    """A real API server in this process, and what an administrator sees of it.

    ``pod``, ``find`` and ``events`` read informers' caches: no waiting, like looking at a screen.
    """

    def __init__(self, env: Env, server: ApiServer) -> None:
        self.env = env
        self.server = server
        self._wire = Wire(server, ADMIN)
        self.client = Client(self._wire, clock=env.clock)
        self.node_wire = Wire(server, NODE_USER)
        self._informers = Informers(self.client, env)
        self.ready = asyncio.Event()

    async def start(self, group: asyncio.TaskGroup) -> None:
        self._informers.start(group)
        for kind in (core.Pod, core.Event, core.Node):
            await self._informers.of(kind).synced()

    def node_client(self) -> Client:
        """A client with the rights of the node."""
        return Client(self.node_wire, clock=self.env.clock)

    async def put(self, obj: Any) -> Any:
        """Create the object, or write it over the one that is there."""
        try:
            made = await self.client.create(obj)
        except ApiError as error:
            if not errors.is_already_exists(error):
                raise
            known = await self.client.get(type(obj), obj.metadata.name, obj.metadata.namespace)
            obj.metadata.resourceVersion = known.metadata.resourceVersion
            made = await self.client.update(obj)
        if isinstance(made, core.Pod):
            # Until it is on our screen, too.
            while not self.has_pod(made.metadata.name):
                await self.env.clock.sleep(0.001)
        return made

    async def delete_pod(self, name: str, grace: int = 30) -> None:
        await self.client.delete(
            core.Pod, name, "default", meta.DeleteOptions(gracePeriodSeconds=grace)
        )

    def find(self, kind: type, name: str, namespace: str = "") -> Any:
        return self._informers.of(kind).get(namespace, name)

    def pod(self, name: str) -> core.Pod:
        found = self.find(core.Pod, name, "default")
        assert found is not None, f"there is no pod {name}"
        return found

    def has_pod(self, name: str) -> bool:
        return self.find(core.Pod, name, "default") is not None

    def pods(self) -> list[core.Pod]:
        return self._informers.of(core.Pod).list()

    def events(self, name: str) -> list[core.Event]:
        """Events about an object of that name, in the order in which they were first written."""
        found = [
            event
            for event in self._informers.of(core.Event).list()
            if event.involvedObject.name == name
        ]
        return sorted(
            found, key=lambda e: (e.firstTimestamp or "", int(e.metadata.resourceVersion))
        )

    def reasons(self, name: str) -> list[str]:
        return [event.reason for event in self.events(name)]

    def messages(self, name: str, reason: str) -> list[str]:
        return [event.message for event in self.events(name) if event.reason == reason]


class Wire:
    """A transport to the server as one user; ``broken`` cuts it."""

    def __init__(self, server: ApiServer, user: User) -> None:
        self.broken = False
        self.writes: list[tuple[str, str]] = []
        self._inner = clients.transport(server, user.name, user.groups)

    async def request(self, method: str, path: str, query: str, headers: Any, body: bytes) -> Any:
        self._check(path)
        if method != "GET":
            self.writes.append((method, path))
        return await self._inner.request(method, path, query, headers, body)

    def stream(self, method: str, path: str, query: str, headers: Any, body: bytes) -> Any:
        self._check(path)
        return self._inner.stream(method, path, query, headers, body)

    async def close(self) -> None:
        return

    def _check(self, path: str) -> None:
        if self.broken:
            raise Unreachable(f"{path}: the line is cut")


@asynccontextmanager
async def api_server(env: Env) -> AsyncIterator[Api]:
    """A started API server with its bootstrap objects."""
    world = control_plane.api_server(env.named("apiserver"), post_start_hooks=True)
    async with world as server, asyncio.TaskGroup() as group:
        api = Api(env, server)
        watching = group.create_task(_watch(api))
        await api.ready.wait()
        try:
            yield api
        finally:
            watching.cancel()


async def _watch(api: Api) -> None:
    async with asyncio.TaskGroup() as group:
        await api.start(group)
        api.ready.set()


class Node:
    """One kubelet and all around it."""

    def __init__(self, env: Env, api: Api, sockets: Sockets | None = None, **options: Any) -> None:
        self.env = env
        self.sockets = sockets
        self.api = api
        self.host: Any = MemoryHost()
        self.host.make_dirs("/etc")
        self.host.write("/etc/resolv.conf", b"nameserver 9.9.9.9\nsearch example.org\n")
        self.cri = FakeRuntime(env, self.host, images=("web", "job", "side"))
        self.config = KubeletConfig(
            node_name=NODE, node_ips=("192.0.2.1",), cluster_dns=("10.96.0.10",), **options
        )
        self.cgroups: Any = MemoryCgroups()
        self._task: asyncio.Task[None] | None = None
        self.kubelet: Kubelet | None = None

    def parts(self) -> Parts:
        """What the kubelet works with."""
        return Parts(
            client=self.api.node_client(),
            runtime=self.cri,
            transport=self.cri,
            host=self.host,
            cgroups=self.cgroups,
            machine=Machine(),
            sockets=self.sockets,
        )

    async def start(self) -> None:
        ready = asyncio.Event()

        async def live() -> None:
            async with asyncio.TaskGroup() as group:
                self.kubelet = Kubelet(self.config, self.env, self.parts(), group)
                await self.kubelet.start()
                ready.set()

        self._task = asyncio.create_task(live())
        await asyncio.wait(
            {self._task, asyncio.ensure_future(ready.wait())}, return_when=asyncio.FIRST_COMPLETED
        )
        if self._task.done():
            self._task.result()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def until(self, holds: Callable[[], Any], seconds: float = 60.0) -> Any:
        """Virtual time goes on until ``holds``; fails after ``seconds``."""
        end = self.env.clock.monotonic() + seconds
        while True:
            assert self._task is not None
            if self._task.done():
                self._task.result()
            if found := holds():
                return found
            assert self.env.clock.monotonic() < end, "it did not come to pass"
            await self.env.clock.sleep(0.05)

    def phase(self, name: str) -> str:
        return self.api.pod(name).status.phase

    def condition(self, name: str, kind: str) -> str:
        return next((c.status for c in self.api.pod(name).status.conditions if c.type == kind), "")

    def container(self, pod: str, index: int = 0) -> core.ContainerStatus:
        return self.api.pod(pod).status.containerStatuses[index]


def play(story: Callable[[Node], Awaitable[None]], node: type[Node] = Node, **options: Any) -> None:
    """Run ``story`` with a started node on a virtual loop."""
    kind = node
    loop = VirtualLoop()

    async def whole() -> None:
        env = Env(clock=VirtualClock(loop), rng=random.Random(7), log=logging.getLogger("kubelet"))
        async with api_server(env) as api:
            node = kind(env, api, **options)
            await node.start()
            try:
                await story(node)
            finally:
                await node.stop()
                await node.cri.close()

    try:
        loop.run_until_complete(whole())
    finally:
        loop.close()


def pod(name: str, *containers: core.Container, **spec: Any) -> core.Pod:
    """A defaulted pod on the node."""
    result = core.Pod(
        spec=core.PodSpec(
            nodeName=NODE,
            enableServiceLinks=True,
            restartPolicy=spec.pop("restartPolicy", "Always"),
            dnsPolicy="ClusterFirst",
            terminationGracePeriodSeconds=30,
            serviceAccountName="default",
            containers=list(containers) or [container("main")],
            **spec,
        )
    )
    result.metadata.name, result.metadata.namespace = name, "default"
    if result.spec.automountServiceAccountToken is None:
        result.spec.automountServiceAccountToken = False
    return result


def container(name: str, image: str = "web", **fields: Any) -> core.Container:
    return core.Container(
        name=name,
        image=image,
        imagePullPolicy="IfNotPresent",
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        **fields,
    )


def waiting_reason(node: Node, name: str) -> str:
    """Why the pod's first container waits; "" where it does not."""
    statuses = node.api.pod(name).status.containerStatuses
    state = statuses[0].state.waiting if statuses else None
    return state.reason if state is not None else ""


def waiting_message(node: Node, name: str) -> str:
    state = node.container(name).state.waiting
    return state.message if state is not None else ""


def resources(requests: dict | None = None, limits: dict | None = None) -> core.Container:
    return container(
        "a", resources=core.ResourceRequirements(requests=requests or {}, limits=limits or {})
    )
