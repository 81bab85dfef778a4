"""The composition of the kubelet.

In: ``KubeletConfig``, an ``Env``, and ``Parts``: the API client, the runtime, the machine. Out: a
node that registers itself and runs its pods, until cancelled. Called by the composition root and,
with a fake runtime and files in memory, by tests. Rules: the Component contract (one task group,
``env.started()``, ends on cancellation). Cancelling leaves containers running: the next kubelet
adopts them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

import msgspec

from trireme.api.core import v1 as core
from trireme.client.client import Client
from trireme.kit.env import Env
from trireme.kubelet.backoff import Backoff
from trireme.kubelet.cgroups import plan as cgroup_plan
from trireme.kubelet.cgroups.apply import Cgroups
from trireme.kubelet.config import KubeletConfig
from trireme.kubelet.cri.contract import Runtime
from trireme.kubelet.csi.contract import Sockets
from trireme.kubelet.csi.drivers import Drivers
from trireme.kubelet.csi.registration import Registration
from trireme.kubelet.desired import urls
from trireme.kubelet.desired.files import Files
from trireme.kubelet.desired.objects import ApiObjects
from trireme.kubelet.desired.source import PodSource
from trireme.kubelet.desired.static import StaticPods
from trireme.kubelet.desired.tokens import ApiTokens
from trireme.kubelet.desired.urls import Fetch, Url
from trireme.kubelet.events import NORMAL, Events
from trireme.kubelet.eviction.manager import EvictionManager
from trireme.kubelet.eviction.measure import Measures
from trireme.kubelet.gc.collector import Collector
from trireme.kubelet.host.contract import Host
from trireme.kubelet.images.pull import Images
from trireme.kubelet.images.pulled import PulledImages
from trireme.kubelet.logs.files import LogFiles
from trireme.kubelet.logs.rotate import Rotator
from trireme.kubelet.node import agent as agents
from trireme.kubelet.node.agent import NodeAgent
from trireme.kubelet.node.machine import Machine
from trireme.kubelet.observe.inspect import Inspector
from trireme.kubelet.observe.pleg import Pleg
from trireme.kubelet.probes.manager import ProbeManager
from trireme.kubelet.probes.run import Prober, Transport
from trireme.kubelet.resize.actuate import Actuator
from trireme.kubelet.resize.store import Allocations
from trireme.kubelet.shutdown.manager import ShutdownManager
from trireme.kubelet.status.manager import StatusManager
from trireme.kubelet.sync.create import Factory
from trireme.kubelet.sync.execute import Executor
from trireme.kubelet.sync.image_volumes import ImageVolumes
from trireme.kubelet.sync.kill import Killer
from trireme.kubelet.sync.lifecycle import Hooks
from trireme.kubelet.sync.remove import Remover
from trireme.kubelet.volumes.csi.mounter import CsiMounter
from trireme.kubelet.volumes.expand import Expander
from trireme.kubelet.volumes.manager import VolumeManager
from trireme.kubelet.worker import Deps
from trireme.kubelet.workers import Workers
from trireme.runtime.informer import Informer, Informers
from trireme.runtime.recorder import EventRecorder

QOS_SECONDS = 60.0


class Serve(Protocol):
    """Starts the HTTPS server; returns when it listens. ``server.app.serve`` on a real node."""

    async def __call__(self, kubelet: Kubelet, group: asyncio.TaskGroup) -> None: ...


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """The dependencies of a kubelet; their maker closes them. ``serve`` None: no server;
    ``sockets`` None: no CSI drivers."""

    client: Client
    runtime: Runtime
    transport: Transport
    host: Host
    cgroups: Cgroups
    machine: Machine
    serve: Serve | None = None
    sockets: Sockets | None = None
    fetch: Fetch = urls.fetch


class Kubelet:
    """All parts of one node agent; ``start`` runs them in ``group``."""

    def __init__(
        self, config: KubeletConfig, env: Env, parts: Parts, group: asyncio.TaskGroup
    ) -> None:
        self.config, self.env, self.parts, self._group = config, env, parts, group
        runtime, host = parts.runtime, parts.host
        informers = Informers(parts.client, env)
        self._informers = informers
        self._recorder = EventRecorder(parts.client, "kubelet", config.node_name, env)
        reference = core.ObjectReference(
            kind="Node", apiVersion="v1", name=config.node_name, uid=config.node_name
        )
        self.events = Events(self._recorder, reference)
        self.pleg = Pleg(env, runtime, self._changed)
        self.node = NodeAgent(
            env,
            config,
            parts.client,
            runtime,
            host,
            parts.machine,
            self.events,
            self.pleg.problem,
            lambda: self.volumes.in_use(),
            lambda: self.eviction.pressures(),
            lambda: self.shutdown.problem(),
        )
        self.logs = LogFiles(host, config.logs_dir)
        self.inspector = Inspector(runtime, host, self.logs)
        prober = Prober(runtime, parts.transport)
        self.probes = ProbeManager(env, group, prober, self.events, self._changed)
        self.statuses = StatusManager(env, group, parts.client)
        objects = ApiObjects(env, parts.client)
        self._joined = False
        self._cluster_services: Informer[core.Service] | None = None
        self._registration: Registration | None = None
        expander = Expander(env, objects, self.events, config.node_name)
        drivers, csi = Drivers(), None
        if parts.sockets is not None:
            csi = CsiMounter(
                host,
                drivers,
                objects,
                expander,
                config.root_dir,
                config.node_name,
                self.node.reported_in_use,
                self.node.report_soon,
            )
            self._registration = Registration(
                env,
                parts.client,
                host,
                parts.sockets,
                drivers,
                config.root_dir,
                config.node_name,
            )
        self.volumes = VolumeManager(
            env,
            host,
            config.root_dir,
            objects,
            ApiTokens(env, parts.client),
            self.node.allocatable,
            expander,
            memory_backed=config.memory_backed_volumes,
            csi=csi,
        )
        pulled = PulledImages(
            host,
            f"{config.root_dir}/image_manager",
            config.pull_verification,
            config.preloaded_images,
        )
        images = Images(env, runtime, self.events, pulled, config.parallel_pulls)
        image_volumes = ImageVolumes(runtime, host, images, config.root_dir)
        hooks = Hooks(env, runtime, prober)
        killer = Killer(env, runtime, hooks, self.events)
        factory = Factory(
            env,
            config,
            host,
            self.logs,
            objects,
            self._services,
            self.node,
            self.events,
            cgroup_v2=parts.cgroups.v2,
        )
        allocations = Allocations(host, env.log, config.root_dir)
        remover = Remover(runtime, self.logs, self.inspector)
        executor = Executor(
            env, runtime, factory, images, image_volumes, killer, hooks, self.events, remover
        )
        self.workers = Workers(
            Deps(
                env=env,
                config=config,
                runtime=runtime,
                inspector=self.inspector,
                executor=executor,
                killer=killer,
                volumes=self.volumes,
                cgroups=parts.cgroups,
                probes=self.probes,
                statuses=self.statuses,
                images=images,
                image_volumes=image_volumes,
                events=self.events,
                objects=objects,
                host=host,
                node=self.node,
                crashes=Backoff(maximum=config.crash_backoff_max_seconds),
                allocations=allocations,
                actuator=Actuator(runtime, parts.cgroups, allocations, config.cgroup_parent),
            ),
            group,
            self.node.view,
            self.node.newest_view,
        )
        self._collector = Collector(
            env,
            config,
            runtime,
            host,
            parts.cgroups,
            self.workers,
            self.volumes,
            remover,
            self.events,
            self._sources_ready,
            pulled.keep_only,
        )
        self.static = StaticPods(
            env,
            self.workers,
            self.statuses,
            self.node.node,
            client=None if config.standalone else parts.client,
            files=Files(env, host, config.static_pod_path, config.node_name)
            if config.static_pod_path
            else None,
            url=Url(
                env,
                parts.fetch,
                config.static_pod_url,
                config.static_pod_url_headers,
                config.node_name,
            )
            if config.static_pod_url
            else None,
        )
        self.shutdown = ShutdownManager(
            env, config, self.workers, self.events, self.node.report_soon
        )
        self.eviction = EvictionManager(
            env,
            config,
            Measures(config, runtime, host, parts.cgroups),
            self.workers,
            self._collector,
            self.events,
            self.node.report_soon,
        )
        self._rotator = Rotator(env, config, runtime, self.logs)

    async def start(self) -> None:
        """Returns when the node is registered and every pod of its first list has a worker; static
        pods run before, also while the API server is away."""
        self.parts.host.make_dirs(f"{self.config.root_dir}/pods", 0o750)
        self.parts.host.make_dirs(self.config.logs_dir)
        self._enforce_allocatable()
        self.events.node(NORMAL, "Starting", "Starting kubelet.")
        if self.parts.serve is not None:
            await self.parts.serve(self, self._group)
        await self.node.check_runtime()
        await self.static.read()
        for name, loop in (
            ("runtime check", self.node.check_runtime_forever()),
            ("relist", self.pleg.relist_forever()),
            ("container events", self.pleg.follow_events()),
            ("housekeeping", self._collector.housekeep_forever()),
            ("container gc", self._collector.containers_forever()),
            ("image gc", self._collector.images_forever()),
            ("static pods", self.static.run_forever()),
            ("log rotation", self._rotator.run_forever()),
            ("qos cgroups", self._update_qos_forever()),
            ("resizes", self.workers.resizes.retry_forever()),
        ):
            self._group.create_task(loop, name=name)
        if not self.config.standalone:
            await self._join()
        # Pods that run already are admitted before any pressure could refuse them.
        self._group.create_task(self.eviction.run_forever(), name="eviction")
        self.workers.resizes.start()

    async def _join(self) -> None:
        """Become a node of the cluster."""
        self._group.create_task(self._recorder.run(), name="events")
        self._informers.start(self._group)
        node = f"spec.nodeName={self.config.node_name}"
        pods = self._informers.of(core.Pod, field_selector=node)
        self._cluster_services = self._informers.of(core.Service)
        await agents.run(self.node, self._group)
        await self._cluster_services.synced()
        if self._registration is not None:
            self._group.create_task(self._registration.run(), name="plugin registration")
        await PodSource(pods, self.workers, self.static).start()
        self._joined = True

    def _sources_ready(self) -> bool:
        return self.static.ready() and (self._joined or self.config.standalone)

    def _changed(self, uid: str) -> None:
        self.workers.notify(uid)

    def _services(self) -> Iterable[core.Service]:
        return self._cluster_services.list() if self._cluster_services is not None else ()

    def _enforce_allocatable(self) -> None:
        limits = cgroup_plan.node_limits(dict(self.node.of_cgroup()))
        self.parts.cgroups.ensure(self.config.cgroup_parent, limits)
        self._update_qos()
        self.events.node(
            NORMAL, "NodeAllocatableEnforced", "Updated Node Allocatable limit across pods"
        )

    def _update_qos(self) -> None:
        for of_class, limits in cgroup_plan.class_limits(self.workers.active()).items():
            path = cgroup_plan.class_path(self.config.cgroup_parent, of_class)
            self.parts.cgroups.ensure(path, limits)

    async def _update_qos_forever(self) -> None:
        while True:
            await self.env.clock.tick(QOS_SECONDS)
            self._update_qos()


async def run(config: KubeletConfig, env: Env, parts: Parts) -> None:
    """The component: until cancelled. With times for a shutdown, pods end before it does."""
    async with asyncio.TaskGroup() as group:
        kubelet = Kubelet(config, env, parts, group)
        await kubelet.start()
        env.started()
        if not config.shutdown:
            return
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            await kubelet.shutdown.shut_down()
            await kubelet.statuses.written()
            raise
