"""Resolve the inputs of a container's configuration, from the API and the disk.

In: a pod, a container, its volumes. Out: ``SandboxConfig``, ``ContainerConfig``, and the files that
they mount (hosts, termination log, sub-paths). Called by sync/execute. The configuration itself is
computed by the pure ``sync/compute``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec

from trireme.api.core import v1 as core
from trireme.kit.env import Env
from trireme.kubelet import podspec
from trireme.kubelet.cgroups import plan as cgroup_plan
from trireme.kubelet.config import KubeletConfig
from trireme.kubelet.cri import model
from trireme.kubelet.env import compute as environment
from trireme.kubelet.env import envfile
from trireme.kubelet.events import WARNING, Events
from trireme.kubelet.host.contract import Host
from trireme.kubelet.logs.files import LogFiles
from trireme.kubelet.network import dns
from trireme.kubelet.observe.model import ObservedPod
from trireme.kubelet.sync import compute
from trireme.kubelet.sync.mounts import ConfigFailure, Mounts
from trireme.kubelet.volumes.plugin import Mounted, Objects

_LOG_NAME = re.compile(r"(\d+)\.log(\..*)?\Z").match


class NewContainer(msgspec.Struct, frozen=True, kw_only=True):
    """A container to create. ``volumes`` by name."""

    pod: core.Pod
    container: core.Container
    image: model.Image
    restart_count: int
    pod_ips: tuple[str, ...]
    volumes: Mapping[str, Mounted]
    target_id: str = ""


class NodeFacts(Protocol):
    """The node's facts that configurations depend on."""

    def host_ips(self) -> tuple[str, ...]: ...

    def allocatable(self) -> Mapping[str, str]: ...

    def memory_capacity(self) -> int: ...

    def recursive_read_only(self) -> bool: ...


class Factory:
    """Makes configurations for one node."""

    def __init__(
        self,
        env: Env,
        config: KubeletConfig,
        host: Host,
        logs: LogFiles,
        objects: Objects,
        services: Callable[[], Iterable[core.Service]],
        node: NodeFacts,
        events: Events,
        *,
        cgroup_v2: bool,
    ) -> None:
        self._env = env
        self._config = config
        self._host = host
        self._logs = logs
        self._objects = objects
        self._services = services
        self._node = node
        self._events = events
        self._cgroup_v2 = cgroup_v2
        self._mounts = Mounts(env, config, host, node)

    def pod_log_dir(self, pod: core.Pod) -> str:
        return podspec.log_directory(self._config.logs_dir, pod)

    def make_log_dirs(self, pod: core.Pod) -> None:
        self._make_log_dir(self.pod_log_dir(pod))

    def sandbox(self, pod: core.Pod, attempt: int) -> model.SandboxConfig:
        """Raises ValueError for an invalid host name."""
        resolver, warnings = dns.pod_dns(pod, self._node_dns())
        for warning in warnings:
            self._events.pod(pod, WARNING, "DNSConfigForming", warning)
        return compute.sandbox(
            compute.SandboxInputs(
                pod=pod,
                attempt=attempt,
                log_directory=self.pod_log_dir(pod),
                cgroup_parent=cgroup_plan.pod_path(self._config.cgroup_parent, pod),
                cluster_domain=self._config.cluster_domain,
                dns=resolver,
                cgroup_v2=self._cgroup_v2,
            )
        )

    async def runtime_handler(self, pod: core.Pod) -> str:
        """The handler of the pod's RuntimeClass, "" for the runtime's default. Raises ValueError,
        ApiError."""
        name = pod.spec.runtimeClassName
        if not name:
            return ""
        found = await self._objects.runtime_class(name)
        if found is None:
            raise ValueError(f'runtimeclasses.node.k8s.io "{name}" not found')
        return found.handler

    async def container(self, new: NewContainer) -> model.ContainerConfig:
        """Raises ``ConfigFailure``, ValueError, OSError."""
        pod, container, image = new.pod, new.container, new.image
        ips = self._node.host_ips() if podspec.is_host_network(pod) else new.pod_ips
        variables = await self._environment(pod, container, ips, new.volumes)
        mounts = self._mounts.of_volumes(pod, container, new.volumes, variables)
        mounts += self._mounts.of_kubelet(pod, container, ips)
        self._make_log_dir(f"{self.pod_log_dir(pod)}/{container.name}")
        return compute.container(
            compute.ContainerInputs(
                pod=pod,
                container=container,
                restart_count=new.restart_count,
                image=image.id,
                image_uid=image.uid,
                image_user=image.username,
                environment=variables,
                mounts=mounts,
                devices=self._mounts.of_devices(container, new.volumes),
                memory_capacity=self._node.memory_capacity(),
                cgroup_v2=self._cgroup_v2,
                seccomp_root=f"{self._config.root_dir}/seccomp",
                target_id=new.target_id,
            )
        )

    def restarts_in_logs(self, pod: core.Pod, container: core.Container) -> int:
        """The restart count after that of the newest log file, for when the runtime lost its
        containers."""
        names = self._logs.list(f"{self.pod_log_dir(pod)}/{container.name}")
        counts = [int(found.group(1)) + 1 for found in map(_LOG_NAME, names) if found]
        return max(counts, default=0)

    def _make_log_dir(self, path: str) -> None:
        with self._logs.at(path) as (root, name):
            root.make_dirs(name)

    def target_id(self, container: core.Container, observed: ObservedPod) -> str:
        """The container whose processes an ephemeral container joins."""
        name = getattr(container, "targetContainerName", "")
        if not name:
            return ""
        target = observed.latest(name)
        if target is None:
            raise ConfigFailure(f"unable to find target container {name}")
        return target.id

    async def _environment(
        self,
        pod: core.Pod,
        container: core.Container,
        ips: tuple[str, ...],
        volumes: Mapping[str, Mounted],
    ) -> dict[str, str]:
        namespace = pod.metadata.namespace
        objects: dict[environment.Reference, core.ConfigMap | core.Secret | None] = {}
        for kind, name in sorted(environment.references(container)):
            get = self._objects.config_map if kind == "ConfigMap" else self._objects.secret
            objects[kind, name] = await get(namespace, name)

        def env_file(ref: core.FileKeySelector) -> bytes:
            return self._env_file(ref, volumes)

        try:
            return environment.compute(
                environment.Inputs(
                    pod=pod,
                    container=container,
                    services=self._services(),
                    objects=objects,
                    pod_ips=ips,
                    host_ips=self._node.host_ips(),
                    allocatable=self._node.allocatable(),
                    env_file=env_file,
                )
            )
        except environment.ConfigError as problem:
            raise ConfigFailure(str(problem)) from problem

    def _node_dns(self) -> dns.NodeDNS:
        text = self._read(self._config.resolv_conf) if self._config.resolv_conf else ""
        return dns.NodeDNS(
            dns.parse_resolv_conf(text), self._config.cluster_dns, self._config.cluster_domain
        )

    def _env_file(self, ref: core.FileKeySelector, volumes: Mapping[str, Mounted]) -> bytes:
        volume = volumes.get(ref.volumeName)
        if volume is None:
            raise environment.ConfigError(
                f'cannot find the volume "{ref.volumeName}" referenced by FileKeyRef'
            )
        try:
            with self._host.open_root(volume.path) as root:
                return root.read(ref.path, envfile.MAX_BYTES + 1, follow=True)
        except OSError as error:
            raise environment.ConfigError("couldn't parse env file") from error

    def _read(self, path: str) -> str:
        if self._host.info(path) is None:
            return ""
        return self._host.read(path).decode("utf-8", "replace")
