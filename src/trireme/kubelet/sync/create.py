"""Gather what a container needs, and make its configuration.

In: a pod, a container, its volumes. Out: ``SandboxConfig``, ``ContainerConfig``, and the files that
they mount (hosts, termination log, sub-paths). Called by sync/execute. The configuration itself is
made by the pure ``sync/compute``; here is what must look at the API and the disk first.
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
from trireme.kubelet.env import expand
from trireme.kubelet.events import WARNING, Events
from trireme.kubelet.host.contract import Host
from trireme.kubelet.network import dns, hosts
from trireme.kubelet.observe.model import PodSeen
from trireme.kubelet.sync import compute
from trireme.kubelet.volumes import atomic
from trireme.kubelet.volumes.plugin import Objects

ETC_HOSTS = "/etc/hosts"
_LOG_NAME = re.compile(r"(\d+)\.log(\..*)?\Z").match


class ConfigFailure(Exception):
    """The container waits with CreateContainerConfigError."""


class Making(msgspec.Struct, frozen=True, kw_only=True):
    """One container to be. ``volumes``: name to host path."""

    pod: core.Pod
    container: core.Container
    image: model.Image
    restart_count: int
    pod_ips: tuple[str, ...]
    volumes: Mapping[str, str]
    target_id: str = ""


class NodeFacts(Protocol):
    """What configurations need to know of the node."""

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
        self._objects = objects
        self._services = services
        self._node = node
        self._events = events
        self._cgroup_v2 = cgroup_v2

    def pod_log_dir(self, pod: core.Pod) -> str:
        meta = pod.metadata
        return f"{self._config.logs_dir}/{meta.namespace}_{meta.name}_{meta.uid}"

    def make_log_dirs(self, pod: core.Pod) -> None:
        self._host.make_dirs(self.pod_log_dir(pod))

    def sandbox(self, pod: core.Pod, attempt: int) -> model.SandboxConfig:
        """Raises ValueError for a host name that cannot be."""
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

    async def container(self, making: Making) -> model.ContainerConfig:
        """Raises ``ConfigFailure``, ValueError, OSError."""
        pod, container, image = making.pod, making.container, making.image
        ips = self._node.host_ips() if podspec.is_host_network(pod) else making.pod_ips
        variables = await self._environment(pod, container, ips, making.volumes)
        mounts = self._mounts(pod, container, making.volumes, variables)
        mounts += self._own_mounts(pod, container, ips)
        self._host.make_dirs(f"{self.pod_log_dir(pod)}/{container.name}")
        return compute.container(
            compute.ContainerInputs(
                pod=pod,
                container=container,
                restart_count=making.restart_count,
                image=image.id,
                image_uid=image.uid,
                image_user=image.username,
                environment=variables,
                mounts=mounts,
                memory_capacity=self._node.memory_capacity(),
                cgroup_v2=self._cgroup_v2,
                seccomp_root=f"{self._config.root_dir}/seccomp",
                target_id=making.target_id,
            )
        )

    def restarts_in_logs(self, pod: core.Pod, container: core.Container) -> int:
        """The count after the newest log file: the runtime may have forgotten, the disk has not."""
        names = self._host.list(f"{self.pod_log_dir(pod)}/{container.name}")
        counts = [int(found.group(1)) + 1 for found in map(_LOG_NAME, names) if found]
        return max(counts, default=0)

    def target_id(self, container: core.Container, seen: PodSeen) -> str:
        """The container whose processes an ephemeral container joins."""
        name = getattr(container, "targetContainerName", "")
        if not name:
            return ""
        target = seen.latest(name)
        if target is None:
            raise ConfigFailure(f"unable to find target container {name}")
        return target.id

    async def _environment(
        self,
        pod: core.Pod,
        container: core.Container,
        ips: tuple[str, ...],
        volumes: Mapping[str, str],
    ) -> dict[str, str]:
        namespace = pod.metadata.namespace
        objects: dict[environment.Reference, core.ConfigMap | core.Secret | None] = {}
        for kind, name in sorted(environment.references(container)):
            get = self._objects.config_map if kind == "ConfigMap" else self._objects.secret
            objects[kind, name] = await get(namespace, name)

        def env_file(ref: core.FileKeySelector) -> str | None:
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

    def _mounts(
        self,
        pod: core.Pod,
        container: core.Container,
        volumes: Mapping[str, str],
        variables: Mapping[str, str],
    ) -> list[model.Mount]:
        mounts = []
        for index, wanted in enumerate(container.volumeMounts):
            path = volumes.get(wanted.name)
            if path is None:
                raise ConfigFailure(
                    f'cannot find volume "{wanted.name}" to mount into container "{container.name}"'
                )
            sub_path = self._sub_path(wanted, variables)
            if sub_path:
                path = self._prepare_sub_path(pod, container, index, wanted, path, sub_path)
            mounts.append(
                compute.mount(wanted, path, recursive_read_only=self._node.recursive_read_only())
            )
        return mounts

    def _sub_path(self, wanted: core.VolumeMount, variables: Mapping[str, str]) -> str:
        if not wanted.subPathExpr:
            return wanted.subPath
        missing = expand.unresolved(wanted.subPathExpr, variables)
        if missing:
            raise ConfigFailure(f'missing value for "{missing[0]}"')
        return expand.expand(wanted.subPathExpr, variables)

    def _prepare_sub_path(
        self,
        pod: core.Pod,
        container: core.Container,
        index: int,
        wanted: core.VolumeMount,
        volume: str,
        sub_path: str,
    ) -> str:
        """The bind mount that stands for ``sub_path``: made so that no link leads outside."""
        if sub_path.startswith("/"):
            raise ConfigFailure(f"error SubPath `{sub_path}` must not be an absolute path")
        if ".." in sub_path.split("/"):
            raise ConfigFailure(f"unable to provision SubPath `{sub_path}`: must not contain '..'")
        full = f"{volume}/{sub_path}"
        if self._host.info(full) is None:
            info = self._host.info(volume)
            self._host.make_dirs(full, info.mode if info is not None else 0o755)
        relative = self._resolve_below(volume, sub_path, wanted, container)
        target = (
            f"{self._config.root_dir}/pods/{pod.metadata.uid}/volume-subpaths/"
            f"{wanted.name}/{container.name}/{index}"
        )
        self._host.bind_below(self._host.real_path(volume), relative, target)
        return target

    def _resolve_below(
        self, volume: str, sub_path: str, wanted: core.VolumeMount, container: core.Container
    ) -> str:
        """Links inside a volume (as the atomic writer makes) are followed; out of it, refused."""
        base, real = self._host.real_path(volume), self._host.real_path(f"{volume}/{sub_path}")
        if real != base and not real.startswith(base + "/"):
            raise ConfigFailure(
                f'failed to prepare subPath for volumeMount "{wanted.name}" of '
                f'container "{container.name}"'
            )
        return real[len(base) :].lstrip("/")

    def _own_mounts(
        self, pod: core.Pod, container: core.Container, ips: tuple[str, ...]
    ) -> list[model.Mount]:
        """The hosts file and the termination log."""
        directory = f"{self._config.root_dir}/pods/{pod.metadata.uid}"
        mounts = []
        if all(mount.mountPath != ETC_HOSTS for mount in container.volumeMounts):
            path = f"{directory}/etc-hosts"
            self._host.make_dirs(directory, 0o750)
            self._host.write(path, self._hosts(pod, ips).encode())
            mounts.append(model.Mount(container_path=ETC_HOSTS, host_path=path))
        if container.terminationMessagePath:
            folder = f"{directory}/containers/{container.name}"
            self._host.make_dirs(folder, 0o755)
            path = f"{folder}/{self._env.suffix(8)}"
            # Whatever user the container runs as must be able to write its last words.
            self._host.write(path, b"", 0o666)
            mounts.append(
                model.Mount(container_path=container.terminationMessagePath, host_path=path)
            )
        return mounts

    def _hosts(self, pod: core.Pod, ips: tuple[str, ...]) -> str:
        if podspec.is_host_network(pod):
            of_node = self._read(self._config.hosts_file)
            return hosts.host_network_file(of_node, pod.spec.hostAliases)
        name, domain = hosts.hostname_and_domain(pod, self._config.cluster_domain)
        return hosts.hosts_file(ips, name, domain, pod.spec.hostAliases)

    def _node_dns(self) -> dns.NodeDNS:
        text = self._read(self._config.resolv_conf) if self._config.resolv_conf else ""
        return dns.NodeDNS(
            dns.parse_resolv_conf(text), self._config.cluster_dns, self._config.cluster_domain
        )

    def _env_file(self, ref: core.FileKeySelector, volumes: Mapping[str, str]) -> str | None:
        volume = volumes.get(ref.volumeName)
        if volume is None:
            raise environment.ConfigError(
                f'cannot find the volume "{ref.volumeName}" referenced by FileKeyRef'
            )
        atomic.check_path(ref.path)
        for line in self._read(f"{volume}/{ref.path}").splitlines():
            key, equals, value = line.strip().partition("=")
            if equals and key.strip() == ref.key:
                return value.strip().strip("'\"")
        return None

    def _read(self, path: str) -> str:
        if self._host.info(path) is None:
            return ""
        return self._host.read(path).decode("utf-8", "replace")
