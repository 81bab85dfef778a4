"""What a person sees who watches a cluster: caches of what matters, and waiting until it shows.

In: a running cluster. Out: reads without waiting, and ``until``. Also the history of a run, line by
line, to be compared with that of another.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from trireme.api.apps import v1 as apps
from trireme.api.batch import v1 as batch
from trireme.api.core import v1 as core
from trireme.api.discovery.v1.endpointslice_types import EndpointSlice
from trireme.cluster.inprocess import InProcessCluster
from trireme.kit.env import Env
from trireme.machinery import meta
from trireme.runtime.informer import Event, Informers
from trireme.testing import cluster
from trireme.testing.fake_cri import Behave

KINDS = (
    core.Pod,
    core.Node,
    core.Namespace,
    core.ConfigMap,
    core.Event,
    apps.Deployment,
    apps.ReplicaSet,
    apps.StatefulSet,
    apps.DaemonSet,
    apps.ControllerRevision,
    batch.Job,
    batch.CronJob,
    core.PersistentVolumeClaim,
    EndpointSlice,
)


class Screen:
    """A cluster, watched."""

    def __init__(self, env: Env, it: InProcessCluster) -> None:
        self.env = env
        self.cluster = it
        self.client = it.client
        self.history: list[str] = []
        self.informers = Informers(it.client, env)
        for kind in KINDS:
            self.informers.of(kind).add_handler(self._note)

    def list(self, kind: type, namespace: str = "") -> builtins.list[Any]:
        return sorted(self.informers.of(kind).list(namespace), key=lambda o: o.metadata.name)

    def find(self, kind: type, name: str, namespace: str = "default") -> Any:
        return self.informers.of(kind).get(namespace, name)

    def deployment(self, name: str = "web") -> Any:
        return self.find(apps.Deployment, name)

    def pods(self, app: str = "web") -> builtins.list[core.Pod]:
        """Those that are not being deleted."""
        return [
            pod
            for pod in self.list(core.Pod)
            if pod.metadata.labels.get("app") == app and pod.metadata.deletionTimestamp is None
        ]

    def addresses(self) -> set[str]:
        """Where the Services send traffic: the addresses of ready endpoints."""
        return {
            address
            for item in self.list(EndpointSlice, "default")
            for endpoint in item.endpoints
            if endpoint.conditions.ready and endpoint.targetRef is not None
            for address in endpoint.addresses
        }

    def rolled_out(self, name: str = "web") -> bool:
        """As ``kubectl rollout status`` sees it."""
        found = self.deployment(name)
        if found is None or found.status.observedGeneration < found.metadata.generation:
            return False
        status, expected = found.status, found.spec.replicas
        return status.updatedReplicas == status.replicas == status.availableReplicas == expected

    async def until(self, done: Callable[[], Any], seconds: float = 120.0) -> float:
        """Let time pass until it is so; how long that took."""
        began = self.env.clock.monotonic()
        while not done():
            passed = self.env.clock.monotonic() - began
            assert passed < seconds, f"not within {seconds} s\n" + "\n".join(self.history[-30:])
            await self.env.clock.sleep(0.1)
        return self.env.clock.monotonic() - began

    async def condition(self, kind: str, reason: str, name: str = "web") -> Any:
        """Wait until the Deployment has this condition."""

        def found() -> Any:
            conditions = self.deployment(name).status.conditions
            return next((c for c in conditions if (c.type, c.reason) == (kind, reason)), None)

        await self.until(found)
        return found()

    def reasons(self, name: str) -> builtins.list[str]:
        """Reasons of the events about objects of that name."""
        found = [e for e in self.list(core.Event) if e.involvedObject.name == name]
        return [e.reason for e in sorted(found, key=lambda e: int(e.metadata.resourceVersion))]

    async def image(self, image: str, name: str = "web") -> None:
        """``kubectl set image``."""
        found = await self.client.get(apps.Deployment, name, "default")
        container = found.spec.template.spec.containers[0]
        found.spec.template.spec.containers[0] = msgspec.structs.replace(container, image=image)
        await self.client.update(found)
        await self.until(lambda: self._has_image(image, name))

    def _has_image(self, image: str, name: str) -> bool:
        return self.deployment(name).spec.template.spec.containers[0].image == image

    def _note(self, event: Event[Any]) -> None:
        obj = event.object
        now = f"{self.env.clock.monotonic():.3f}"
        what = f"{obj.kind} {obj.metadata.namespace}/{obj.metadata.name}"
        line = f"{now} {event.type} {what} @{obj.metadata.resourceVersion}"
        if isinstance(obj, core.Event):
            line = f"{line} {obj.reason}: {obj.message}"
        self.history.append(line)


@asynccontextmanager
async def watched(
    env: Env, *, nodes: int = 2, behave: Behave | None = None
) -> AsyncIterator[Screen]:
    """A whole cluster with its nodes ready."""
    async with cluster.running(env, nodes=nodes, behave=behave) as it, asyncio.TaskGroup() as group:
        screen = Screen(env, it)
        tasks = _Tasks(group)
        screen.informers.start(tasks)  # type: ignore[arg-type]
        await screen.informers.synced()
        await screen.until(lambda: sum(map(_is_well, screen.list(core.Node))) == nodes)
        try:
            yield screen
        finally:
            tasks.cancel()


def _is_well(node: core.Node) -> bool:
    ready = any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)
    return ready and not node.spec.taints


class _Tasks:
    """A task group whose tasks can be ended together."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: list[asyncio.Task[Any]] = []

    def create_task(self, work: Any, name: str = "") -> asyncio.Task[Any]:
        self._tasks.append(self._group.create_task(work, name=name))
        return self._tasks[-1]

    def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()


def deployment(name: str = "web", replicas: int = 3, image: str = "web:v1", **spec: Any) -> Any:
    """A Deployment whose pods are ready when their probe says so."""
    labels = {"app": name}
    container = {
        "name": "main",
        "image": image,
        "ports": [{"name": "http", "containerPort": 80}],
        "resources": {"requests": {"cpu": "100m"}},
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    manifest = {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": template,
            **spec,
        },
    }
    return msgspec.convert(manifest, apps.Deployment)


def service(name: str = "web") -> core.Service:
    """A Service for the Deployment of that name."""
    ports = [core.ServicePort(port=80, targetPort="http")]
    spec = core.ServiceSpec(selector={"app": name}, ports=ports)
    return core.Service(metadata=meta.ObjectMeta(name=name, namespace="default"), spec=spec)
