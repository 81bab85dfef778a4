"""A kubelet with a fake runtime, in this process, under virtual time.

``Api`` keeps objects in a dict and answers the few client calls that a kubelet makes. It decides
nothing: what the API server decides is tested where the API server is.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import random
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import msgspec

from trireme.api.authentication import v1 as authentication
from trireme.api.core import v1 as core
from trireme.kit.clock import VirtualClock, VirtualLoop
from trireme.kit.env import Env
from trireme.kubelet.cgroups.apply import NoCgroups
from trireme.kubelet.component import Kubelet, Parts
from trireme.kubelet.config import KubeletConfig
from trireme.kubelet.host.memory import MemoryHost
from trireme.kubelet.node.machine import Machine
from trireme.machinery import errors, time
from trireme.testing.fake_cri import FakeRuntime

NODE = "node-0"


class Api:
    """Objects by type, namespace and name; informers see every change at once."""

    def __init__(self, env: Env) -> None:
        self.env = env
        self.objects: dict[tuple[str, str, str], Any] = {}
        self.informers: list[ApiInformer] = []
        self.calls: list[tuple[str, str, str]] = []
        self.broken = False
        self._revision = 0

    def put(self, obj: Any) -> Any:
        obj = copy.deepcopy(obj)
        self._revision += 1
        obj.metadata.resourceVersion = str(self._revision)
        if not obj.metadata.uid:
            obj.metadata.uid = self.env.uid()
        if obj.metadata.creationTimestamp is None:
            obj.metadata.creationTimestamp = time.format(self.env.clock.now())
        key = _key(type(obj), obj.metadata.namespace, obj.metadata.name)
        self.objects[key] = obj
        self._tell("MODIFIED", obj)
        return copy.deepcopy(obj)

    def drop(self, kind: type, namespace: str, name: str) -> None:
        obj = self.objects.pop(_key(kind, namespace, name))
        self._tell("DELETED", obj)

    def informer(self, kind: type) -> ApiInformer:
        informer = ApiInformer(self, kind)
        self.informers.append(informer)
        return informer

    def pod(self, name: str, namespace: str = "default") -> core.Pod:
        return self.objects[_key(core.Pod, namespace, name)]

    def has_pod(self, name: str, namespace: str = "default") -> bool:
        return _key(core.Pod, namespace, name) in self.objects

    def delete_pod(self, name: str, grace: int = 30) -> None:
        """What the API server does with a first DELETE of a pod that has a node."""
        pod = copy.deepcopy(self.pod(name))
        pod.metadata.deletionTimestamp = time.format(self.env.clock.now() + grace)
        pod.metadata.deletionGracePeriodSeconds = grace
        self.put(pod)

    async def get(self, kind: type, name: str, namespace: str | None = None) -> Any:
        self._check()
        found = self.objects.get(_key(kind, namespace or "", name))
        if found is None:
            raise errors.not_found(kind.__name__.lower() + "s", name)
        return copy.deepcopy(found)

    async def create(self, obj: Any) -> Any:
        self._check()
        if _key(type(obj), obj.metadata.namespace, obj.metadata.name) in self.objects:
            raise errors.already_exists(type(obj).__name__, obj.metadata.name)
        return self.put(obj)

    async def update(self, obj: Any) -> Any:
        self._check()
        return self.put(obj)

    async def patch(
        self, of: type, name: str, namespace: str | None, patch: dict, kind: str = "merge",
        subresource: str | None = None,
    ) -> Any:
        self._check()
        assert kind == "strategic"
        self.calls.append(("patch", of.__name__, name))
        obj = await self.get(of, name, namespace)
        data = msgspec.to_builtins(obj)
        data.pop("kind", None), data.pop("apiVersion", None)
        merged = _merge(data, patch)
        return self.put(msgspec.convert(merged, of))

    async def delete(self, kind: type, name: str, namespace: str, options: Any = None) -> None:
        self._check()
        self.calls.append(("delete", kind.__name__, name))
        await self.get(kind, name, namespace)
        self.drop(kind, namespace, name)

    async def create_subresource(
        self, kind: type, name: str, namespace: str, subresource: str, body: Any, answer: type
    ) -> Any:
        self._check()
        self.calls.append((subresource, kind.__name__, name))
        body.status = authentication.TokenRequestStatus(
            token=f"token-{len(self.calls)}", expirationTimestamp=time.format(
                self.env.clock.now() + body.spec.expirationSeconds))
        return body

    def _check(self) -> None:
        if self.broken:
            raise errors.service_unavailable("the API is down")

    def _tell(self, kind: str, obj: Any) -> None:
        for informer in self.informers:
            informer.take(kind, copy.deepcopy(obj))


class ApiInformer:
    def __init__(self, api: Api, kind: type) -> None:
        self._api = api
        self._kind = kind
        self._handlers: list[Callable[[Any], None]] = []

    def list(self) -> list[Any]:
        return [copy.deepcopy(obj) for obj in self._api.objects.values()
                if isinstance(obj, self._kind)]

    def add_handler(self, handler: Callable[[Any], None]) -> None:
        self._handlers.append(handler)

    async def synced(self) -> None:
        return

    def take(self, kind: str, obj: Any) -> None:
        if isinstance(obj, self._kind):
            for handler in self._handlers:
                handler(SimpleNamespace(type=kind, object=obj))


class Recorder:
    def __init__(self) -> None:
        self.events: list[tuple[str, str, str, str]] = []

    def event(self, obj: Any, type: str, reason: str, message: str) -> None:
        self.events.append((obj.name, type, reason, message))

    def reasons(self, name: str) -> list[str]:
        return [reason for of, _, reason, _ in self.events if of == name]

    def messages(self, name: str, reason: str) -> list[str]:
        return [message for of, _, why, message in self.events if (of, why) == (name, reason)]


class Node:
    """One kubelet and all around it."""

    def __init__(self, env: Env, **options: Any) -> None:
        self.env = env
        self.api = Api(env)
        self.host = MemoryHost()
        self.host.make_dirs("/etc")
        self.host.write("/etc/resolv.conf", b"nameserver 9.9.9.9\nsearch example.org\n")
        self.cri = FakeRuntime(env, self.host, images=("web", "job", "side"))
        self.recorder = Recorder()
        self.config = KubeletConfig(
            node_name=NODE, node_ips=("192.0.2.1",), cluster_dns=("10.96.0.10",), **options)
        self._stop: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None
        self.kubelet: Kubelet | None = None

    async def start(self) -> None:
        ready, self._stop = asyncio.Event(), asyncio.Event()

        async def live() -> None:
            parts = Parts(
                client=self.api, pods=self.api.informer(core.Pod),
                services=self.api.informer(core.Service), recorder=self.recorder,
                runtime=self.cri, transport=self.cri, host=self.host, cgroups=NoCgroups(),
                machine=Machine())
            async with asyncio.TaskGroup() as group:
                self.kubelet = Kubelet(self.config, self.env, parts, group)
                await self.kubelet.start()
                ready.set()

        self._task = asyncio.create_task(live())
        await asyncio.wait({self._task, asyncio.ensure_future(ready.wait())},
                           return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            self._task.result()

    async def stop(self) -> None:
        assert self._task is not None
        self.api.informers.clear()
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


def play(story: Callable[[Node], Awaitable[None]], **options: Any) -> None:
    """Run ``story`` with a started node on a virtual loop."""
    loop = VirtualLoop()

    async def whole() -> None:
        env = Env(clock=VirtualClock(loop), rng=random.Random(7), log=logging.getLogger("kubelet"))
        node = Node(env, **options)
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
    result = core.Pod(spec=core.PodSpec(
        nodeName=NODE, enableServiceLinks=True, restartPolicy=spec.pop("restartPolicy", "Always"),
        dnsPolicy="ClusterFirst", terminationGracePeriodSeconds=30, serviceAccountName="default",
        containers=list(containers) or [container("main")], **spec))
    result.metadata.name, result.metadata.namespace = name, "default"
    result.metadata.generation = 1
    result.status.phase = "Pending"
    return result


def container(name: str, image: str = "web", **fields: Any) -> core.Container:
    return core.Container(name=name, image=image, imagePullPolicy="IfNotPresent",
                          terminationMessagePath="/dev/termination-log",
                          terminationMessagePolicy="File", **fields)


def _key(kind: type, namespace: str, name: str) -> tuple[str, str, str]:
    return kind.__name__, namespace, name


_KEYS = {"conditions": "type", "podIPs": "ip", "hostIPs": "ip", "addresses": "type"}


def _merge(old: dict, patch: dict) -> dict:
    result = dict(old)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = _merge(result.get(name) or {}, value)
        elif name in _KEYS and isinstance(value, list):
            result[name] = _merge_list(result.get(name) or [], value, _KEYS[name])
        else:
            result[name] = value
    return result


def _merge_list(old: list, patch: list, key: str) -> list:
    if any(item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if "$patch" not in item]
    items = {item[key]: item for item in old}
    for item in patch:
        if item.get("$patch") == "delete":
            items.pop(item[key], None)
        else:
            items[item[key]] = _merge(items.get(item[key], {}), item)
    return list(items.values())
