"""The controllers over a real API server in this process, under virtual time.

    async with harness.world(env) as w:
        await w.put(manifest)
        await w.until(lambda: len(w.pods()) == 3)

Each controller acts as its own service account under the bootstrap roles. ``w.writes`` counts what
they wrote. Nodes are played by ``w.play``: it binds pods and reports them running and ready, or
ended as ``w.end_as`` says.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import dataclasses
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from trireme.api.admissionregistration.v1.validatingadmissionpolicy_types import (
    ValidatingAdmissionPolicy,
)
from trireme.api.apps import v1 as apps
from trireme.api.batch import v1 as batch
from trireme.api.coordination.v1.lease import Lease, LeaseSpec
from trireme.api.core import v1 as core
from trireme.api.discovery.v1.endpointslice_types import EndpointSlice
from trireme.api.networking.v1.servicecidr import ServiceCIDR
from trireme.apiserver.config import ServiceAccountKeys
from trireme.apiserver.server import ApiServer
from trireme.client.client import Client
from trireme.client.transport import Response, Transport
from trireme.cloud.settings import Settings as CloudSettings
from trireme.cluster import cloud_controllers
from trireme.controllers import manager
from trireme.controllers.definition import Definition
from trireme.controllers.settings import Settings
from trireme.kit import env as environment
from trireme.kit import pki
from trireme.kit.env import Env
from trireme.machinery import errors, meta, time
from trireme.machinery.status import Status
from trireme.runtime.informer import Informers
from trireme.testing import clients, control_plane
from trireme.testing.memory_cloud import MemoryCloud
from trireme.testing.transports import PassThrough

KEY = pki.new_key()
AUTHENTICATED = "system:authenticated"
WATCHED = (
    core.Pod,
    core.Event,
    core.Node,
    core.Namespace,
    core.ServiceAccount,
    core.ConfigMap,
    core.Service,
    core.Endpoints,
    apps.Deployment,
    apps.ReplicaSet,
    apps.StatefulSet,
    apps.DaemonSet,
    apps.ControllerRevision,
    batch.Job,
    batch.CronJob,
    core.PersistentVolumeClaim,
    EndpointSlice,
    ValidatingAdmissionPolicy,
    ServiceCIDR,
)
# An annotation of a pod: how it ends, "Succeeded" or "Failed".
ENDS = "test/ends"
PerUser = Callable[[Transport, str], Transport]
ACCOUNTS = ("system:serviceaccounts", "system:serviceaccounts:kube-system", AUTHENTICATED)


class Counting(PassThrough):
    """A transport that counts writes by user, method and path."""

    def __init__(self, inner: Transport, user: str, writes: Counter[tuple[str, str, str]]) -> None:
        super().__init__(inner)
        self._user = user
        self._writes = writes

    async def request(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        if method != "GET" and "/events" not in path:
            self._writes[self._user, method, path] += 1
        return await super().request(method, path, query, headers, body)


class World:
    """What an administrator sees and does."""

    def __init__(self, env: Env, server: ApiServer, through: PerUser) -> None:
        self.env = env
        self.server = server
        self._through = through
        self._config: manager.ManagerConfig
        self._group: _Group
        # How a pod ends; "" for one that runs on.
        self._outcome: Callable[[core.Pod], str] = lambda p: p.metadata.annotations.get(ENDS, "")
        # Of each pod that was played, by uid: its address.
        self._numbers: dict[str, int] = {}
        self._wake: builtins.list[Callable[[], None]] = []
        self.client = clients.client(server)
        self.writes: Counter[tuple[str, str, str]] = Counter()
        self.informers = Informers(self.client, env)
        # Cancel one, and its node is dead.
        self.nodes: dict[str, asyncio.Task[None]] = {}
        self.controllers: asyncio.Task[None]
        # The cloud, of a world that has one.
        self.cloud: MemoryCloud
        self.extra: builtins.list[Definition] = []

    def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this until the world ends: somebody who is no part of the cluster."""
        self._group.create_task(work)

    def end_as(self, outcome: Callable[[core.Pod], str]) -> None:
        """From now on each pod ends so."""
        self._outcome = outcome
        for wake in self._wake:
            wake()

    def client_for(self, name: str) -> Client:
        user = f"system:serviceaccount:kube-system:{name}"
        return self._counted(user, ACCOUNTS)

    def manager_client(self) -> Client:
        return self._counted("system:kube-controller-manager", (AUTHENTICATED,))

    def _counted(self, user: str, groups: tuple[str, ...]) -> Client:
        inner = self._through(clients.transport(self.server, user, groups), user)
        return Client(Counting(inner, user, self.writes), f"test/{user}", self.env.clock)

    async def stop_controllers(self) -> None:
        """End the controllers as if their process had been killed."""
        self.controllers.cancel()
        await asyncio.wait({self.controllers})

    async def start_controllers(self) -> None:
        """Run the controllers, again after ``stop_controllers``."""
        own = dataclasses.replace(self.env, log=self.env.log.getChild("controllers"))
        config = self._config
        self.controllers = await environment.start(
            self._group,  # type: ignore[arg-type]
            own,
            lambda e: manager.run(config, e),
            "controllers",
        )

    async def until(self, done: Callable[[], Any], seconds: float = 60.0) -> float:
        """Wait for it; how long that took. Fails after ``seconds``."""
        began = self.env.clock.monotonic()
        while not done():
            waited = self.env.clock.monotonic() - began
            assert waited < seconds, f"not within {seconds} s"
            await self.env.clock.sleep(0.05)
        return self.env.clock.monotonic() - began

    async def quiet(self, seconds: float = 30.0) -> Counter[tuple[str, str, str]]:
        """What the controllers write in so many seconds."""
        before = Counter(self.writes)
        await self.env.clock.sleep(seconds)
        return self.writes - before

    def list(self, kind: type, namespace: str = "") -> builtins.list[Any]:
        """All objects, by name."""
        return sorted(self.informers.of(kind).list(namespace), key=lambda o: o.metadata.name)

    def find(self, kind: type, name: str, namespace: str = "default") -> Any:
        return self.informers.of(kind).get(namespace, name)

    def get(self, kind: type, name: str, namespace: str = "default") -> Any:
        found = self.find(kind, name, namespace)
        assert found is not None, f"there is no {kind.__name__} {namespace}/{name}"
        return found

    def pods(self, **labels: str) -> builtins.list[core.Pod]:
        """The pods with these labels that are not being deleted."""
        return [
            pod
            for pod in self.list(core.Pod)
            if labels.items() <= pod.metadata.labels.items()
            and pod.metadata.deletionTimestamp is None
        ]

    def reasons(self, name: str) -> builtins.list[str]:
        """Reasons of the events about objects of that name, as they came."""
        return [event.reason for event in self.events(name)]

    def messages(self, name: str) -> builtins.list[str]:
        return [event.message for event in self.events(name)]

    def events(self, name: str) -> builtins.list[core.Event]:
        found = [e for e in self.informers.of(core.Event).list() if e.involvedObject.name == name]
        return sorted(found, key=lambda e: int(e.metadata.resourceVersion))

    async def node(self, name: str, **labels: str) -> None:
        """Register a node that is ready."""
        status = {
            "capacity": {"cpu": "8", "memory": "16Gi", "pods": "110"},
            "conditions": [self._ready()],
        }
        made = core.Node(
            metadata=meta.ObjectMeta(name=name, labels=labels),
            status=msgspec.convert(status, core.NodeStatus),
        )
        await self.client.create(made)
        await self.until(lambda: self.find(core.Node, name, "") is not None)

    def _ready(self) -> dict[str, str]:
        stamp = time.format(self.env.clock.now())
        return {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "",
            "lastHeartbeatTime": stamp,
            "lastTransitionTime": stamp,
        }

    async def add_node(self, name: str, **labels: str) -> None:
        """A node more, which is played."""
        await self.node(name, **labels)
        self.nodes[name] = self._group.create_task(self.play(name))

    async def beat(self, node: str) -> None:
        """Renew the node's lease, and say that it is ready where somebody has doubted that."""
        found = self.find(core.Node, node, "")
        for condition in found.status.conditions if found is not None else ():
            if condition.type == "Ready" and condition.status != "True":
                ready = {"status": {"conditions": [self._ready()]}}
                await self.client.patch(core.Node, node, "", ready, "strategic", "status")
        stamp = time.format_micro(self.env.clock.now())
        spec = LeaseSpec(holderIdentity=node, leaseDurationSeconds=40, renewTime=stamp)
        metadata = meta.ObjectMeta(name=node, namespace="kube-node-lease")
        try:
            await self.client.create(Lease(metadata=metadata, spec=spec))
        except errors.ApiError as error:
            if not errors.is_already_exists(error):
                raise
            change = {"spec": {"renewTime": stamp}}
            await self.client.patch(Lease, node, "kube-node-lease", change)

    async def play(self, node: str) -> None:
        """Be a scheduler and a kubelet: bind each pod to ``node``, run it, report it ready, and
        end it when it is deleted. Looks when a pod has changed, a moment later."""
        observed: dict[str, str] = {}
        heard = 0.0
        changed = asyncio.Event()
        changed.set()
        self._wake.append(changed.set)
        self.informers.of(core.Pod).add_handler(lambda event: changed.set())
        while True:
            now = self.env.clock.monotonic()
            if now - heard >= 10.0 or not heard:
                heard = now
                await self.beat(node)
            if not changed.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), heard + 10.0 - now)
                await self.env.clock.sleep(0.2)
                continue
            changed.clear()
            for pod in self.list(core.Pod):
                uid, place = pod.metadata.uid, (pod.metadata.name, pod.metadata.namespace)
                if pod.metadata.deletionTimestamp is not None:
                    if pod.spec.nodeName == node and observed.get(uid) != "gone":
                        observed[uid] = "gone"
                        if pod.status.phase not in ("Succeeded", "Failed"):
                            await self._report(place, self._ended("Failed", 137))
                        at_once = meta.DeleteOptions(gracePeriodSeconds=0)
                        await self._quietly(self.client.delete(core.Pod, *place, at_once))
                elif not pod.spec.nodeName and _may_run(pod, node):
                    target = {"apiVersion": "v1", "kind": "Node", "name": node}
                    body = {
                        "apiVersion": "v1",
                        "kind": "Binding",
                        "metadata": {"name": place[0]},
                        "target": target,
                    }
                    await self._quietly(
                        self.client.create_subresource(core.Pod, *place, "binding", body, Status)
                    )
                elif pod.spec.nodeName == node:
                    expected = "ready"
                    end = self._outcome(pod)
                    if observed.get(uid) in ("Succeeded", "Failed", "gone"):
                        continue
                    if end and observed.get(uid) == "ready":
                        expected = end
                    # That a pod is not ready the node controller may have said.
                    if observed.get(uid) == expected and (expected == end or is_ready(pod)):
                        continue
                    number = self._numbers.setdefault(uid, len(self._numbers) + 1)
                    observed[uid] = expected
                    if expected == end:
                        await self._report(place, self._ended(end, int(end == "Failed")))
                    else:
                        await self._report(place, self._status(number))

    async def _report(self, place: tuple[str, str], status: dict[str, Any]) -> None:
        change = {"status": status}
        await self._quietly(self.client.patch(core.Pod, *place, change, "strategic", "status"))

    def _ended(self, phase: str, code: int) -> dict[str, Any]:
        stamp = time.format(self.env.clock.now())
        terminated = {"exitCode": code, "finishedAt": stamp}
        main = {"name": "main", "image": "v1", "imageID": "", "state": {"terminated": terminated}}
        ready = {"type": "Ready", "status": "False", "lastTransitionTime": stamp}
        return {"phase": phase, "containerStatuses": [main], "conditions": [ready]}

    async def _quietly(self, request: Any) -> None:
        try:
            await request
        except errors.ApiError as error:
            # Our screen is a moment late.
            late = errors.is_not_found(error) or errors.is_conflict(error)
            if not late and not errors.is_namespace_terminating(error):
                raise

    def _status(self, number: int) -> dict[str, Any]:
        stamp = time.format(self.env.clock.now())
        address = f"10.1.{number // 250}.{number % 250 + 1}"
        return {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": stamp}],
        }


@asynccontextmanager
async def world(
    env: Env,
    *,
    settings: Settings | None = None,
    controllers: tuple[str, ...] = ("*",),
    plays: str = "node-0",
    through: Callable[[Transport], Transport] = lambda inner: inner,
    per_user: PerUser | None = None,
    post_start_hooks: bool = False,
    cloud: Callable[[], MemoryCloud] | None = None,
    cloud_settings: CloudSettings = CloudSettings(),
    gates: tuple[str, ...] = (),
    extra: Sequence[Definition] = (),
    **config: Any,
) -> AsyncIterator[World]:
    """A cluster with all controllers, or some, in the words of ``--controllers``: those that look
    every few seconds make a day of virtual time long. ``plays`` is a node that takes every pod, ""
    for none.
    ``through`` is what the controllers' requests pass; ``per_user`` the same, by who asks. The API
    server has its own controllers with ``post_start_hooks``: custom kinds need them. ``cloud``
    makes a provider, whose controllers run too. ``gates`` are feature gates that are on for it and
    for the controllers, and so is every API then; ``extra`` are controllers of ours;
    ``config`` are fields of ``ApiServerConfig``."""
    if gates:
        config |= {
            "feature_gates": dict.fromkeys(gates, True),
            "runtime_config": {"api/all": True},
        }
    async with control_plane.api_server(
        env,
        service_accounts=ServiceAccountKeys(KEY),
        default_accounts=(),
        post_start_hooks=post_start_hooks,
        **config,
    ) as server:
        if per_user is None:
            w = World(env, server, lambda inner, user: through(inner))
        else:
            of_user = per_user
            w = World(env, server, lambda inner, user: of_user(through(inner), user))
        w.extra = [*extra]
        if cloud is not None:
            w.cloud = cloud()
            w.extra += cloud_controllers.definitions(w.cloud, cloud_settings)
        async with asyncio.TaskGroup() as group:
            own = settings or Settings(root_ca="PEM")
            own = dataclasses.replace(own, feature_gates=frozenset(gates))
            tasks = await _start(w, group, own, controllers)
            if plays:
                await w.node(plays)
                w.nodes[plays] = group.create_task(w.play(plays))
                tasks.append(w.nodes[plays])
            try:
                yield w
            finally:
                for task in tasks:
                    task.cancel()


async def _start(
    w: World, group: asyncio.TaskGroup, settings: Settings, words: tuple[str, ...]
) -> list[asyncio.Task[None]]:
    tasks: list[asyncio.Task[None]] = []
    for kind in WATCHED:
        w.informers.of(kind)
    holder = _Group(group, tasks)
    w.informers.start(holder)  # type: ignore[arg-type]
    await w.informers.synced()
    w._group = holder
    w._config = manager.ManagerConfig(
        client=w.manager_client(),
        client_for=w.client_for,
        settings=settings,
        controllers=words,
        extra=w.extra,
    )
    await w.start_controllers()
    running = {item.name for item in manager.enabled(w._config)}
    if "serviceaccount-controller" in running:
        for namespace in ("default", "kube-system"):
            kind = core.ServiceAccount
            await w.until(lambda n=namespace, k=kind: w.find(k, "default", n) is not None)
    return tasks


class _Group:
    """A task group that remembers its tasks, so that they can be ended with the test."""

    def __init__(self, group: asyncio.TaskGroup, tasks: list[asyncio.Task[None]]) -> None:
        self._group = group
        self._tasks = tasks

    def create_task(self, work: Any, name: str = "") -> asyncio.Task[None]:
        task = self._group.create_task(work, name=name)
        self._tasks.append(task)
        return task


def deployment(name: str = "web", replicas: int = 3, image: str = "v1", **spec: Any) -> Any:
    """A Deployment of one container."""
    labels = {"app": name}
    return msgspec.convert(
        {
            "kind": "Deployment",
            "apiVersion": "apps/v1",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": template(labels, image),
                **spec,
            },
        },
        apps.Deployment,
    )


def template(labels: dict[str, str], image: str = "v1") -> dict[str, Any]:
    container = {"name": "main", "image": image, "ports": [{"name": "http", "containerPort": 80}]}
    return {"metadata": {"labels": labels}, "spec": {"containers": [container]}}


def _may_run(pod: core.Pod, node: str) -> bool:
    """Whether the pod is not for another node: pods of a DaemonSet name theirs."""
    affinity = pod.spec.affinity
    required = (
        affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution
        if affinity is not None and affinity.nodeAffinity is not None
        else None
    )
    terms = required.nodeSelectorTerms if required is not None else []
    named = [value for term in terms for field in term.matchFields for value in field.values]
    return not named or node in named


def is_ready(pod: core.Pod) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)
