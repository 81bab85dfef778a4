"""The mounts of a container: volumes, sub-paths, its hosts file, its termination log.

In: a pod, a container, the pod's mounted volumes. Out: CRI mounts, and the files and bind mounts
that they need on the host. Called by sync/create. Rules: concepts/storage/volumes (subPath);
reference "Volumes".

A volume's content is the pod's: it is accessed through a ``Root`` only, so that no link in it leads
outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from trireme.api.core import v1 as core
from trireme.kit.env import Env
from trireme.kubelet import podspec
from trireme.kubelet.config import KubeletConfig
from trireme.kubelet.cri import model
from trireme.kubelet.env import expand
from trireme.kubelet.host.contract import Host
from trireme.kubelet.network import hosts
from trireme.kubelet.sync import compute
from trireme.kubelet.volumes.plugin import Mounted

ETC_HOSTS = "/etc/hosts"


class ConfigFailure(Exception):
    """The container waits with CreateContainerConfigError."""


class NodeFacts(Protocol):
    def recursive_read_only(self) -> bool: ...


class Mounts:
    """Makes the mounts of one node's containers."""

    def __init__(self, env: Env, config: KubeletConfig, host: Host, node: NodeFacts) -> None:
        self._env = env
        self._config = config
        self._host = host
        self._node = node

    def of_volumes(
        self,
        pod: core.Pod,
        container: core.Container,
        volumes: Mapping[str, Mounted],
        variables: Mapping[str, str],
    ) -> list[model.Mount]:
        """Raises ``ConfigFailure``, ValueError, OSError."""
        mounts = []
        for index, volume_mount in enumerate(container.volumeMounts):
            volume = volumes.get(volume_mount.name)
            if volume is None or volume.device:
                raise ConfigFailure(
                    f'cannot find volume "{volume_mount.name}" to mount into container '
                    f'"{container.name}"'
                )
            path, sub_path = volume.path, _sub_path(volume_mount, variables)
            if sub_path and volume.image is None:
                target = (
                    f"{self._pod_dir(pod)}/volume-subpaths/{volume_mount.name}/{container.name}/"
                )
                path = self._bind_sub_path(
                    path, sub_path, f"{target}{index}", volume_mount, container
                )
            mounts.append(
                compute.mount(
                    volume_mount,
                    path,
                    read_only=volume.read_only,
                    recursive_read_only=self._node.recursive_read_only(),
                    image=volume.image,
                    image_sub_path=sub_path if volume.image is not None else "",
                )
            )
        return mounts

    @staticmethod
    def of_devices(container: core.Container, volumes: Mapping[str, Mounted]) -> list[model.Device]:
        """Block devices. Raises ``ConfigFailure``."""
        devices = []
        for device in container.volumeDevices:
            volume = volumes.get(device.name)
            if volume is None or not volume.device:
                raise ConfigFailure(
                    f'cannot find volume "{device.name}" to pass into container "{container.name}"'
                )
            devices.append(
                model.Device(
                    host_path=volume.path,
                    container_path=device.devicePath,
                    permissions="r" if volume.read_only else "mrw",
                )
            )
        return devices

    def of_kubelet(
        self, pod: core.Pod, container: core.Container, ips: tuple[str, ...]
    ) -> list[model.Mount]:
        """The hosts file and the termination log."""
        directory, mounts = self._pod_dir(pod), []
        if all(mount.mountPath != ETC_HOSTS for mount in container.volumeMounts):
            path = f"{directory}/etc-hosts"
            self._host.make_dirs(directory, 0o750)
            self._host.write(path, self._hosts(pod, ips).encode())
            mounts.append(model.Mount(container_path=ETC_HOSTS, host_path=path))
        if container.terminationMessagePath:
            folder = f"{directory}/containers/{container.name}"
            self._host.make_dirs(folder, 0o755)
            path = f"{folder}/{self._env.suffix(8)}"
            # Any user that the container runs as must be able to write it.
            self._host.write(path, b"", 0o666)
            mounts.append(
                model.Mount(container_path=container.terminationMessagePath, host_path=path)
            )
        return mounts

    def _bind_sub_path(
        self,
        volume: str,
        sub_path: str,
        target: str,
        volume_mount: core.VolumeMount,
        container: core.Container,
    ) -> str:
        """The bind mount of ``sub_path``, replaced if another file is mounted.

        Errors do not reveal the host's files, as upstream's do not.
        """
        where = f'volumeMount "{volume_mount.name}" of container "{container.name}"'
        try:
            with self._host.open_root(volume) as root:
                if root.info(sub_path, follow=True) is None:
                    of_volume = root.info()
                    mode = of_volume.mode if of_volume is not None else 0o755
                    try:
                        root.make_dirs(sub_path, mode, follow=True)
                    except OSError as error:
                        raise ConfigFailure(
                            f"failed to create subPath directory for {where}"
                        ) from error
                root.bind(sub_path, target)
        except OSError as error:
            self._env.log.warning("%s: subPath %s: %s", where, sub_path, error)
            raise ConfigFailure(f"failed to prepare subPath for {where}") from error
        return target

    def _hosts(self, pod: core.Pod, ips: tuple[str, ...]) -> str:
        if podspec.is_host_network(pod):
            info = self._host.info(self._config.hosts_file)
            of_node = b"" if info is None else self._host.read(self._config.hosts_file)
            return hosts.host_network_file(of_node.decode("utf-8", "replace"), pod.spec.hostAliases)
        name, domain = hosts.hostname_and_domain(pod, self._config.cluster_domain)
        return hosts.hosts_file(ips, name, domain, pod.spec.hostAliases)

    def _pod_dir(self, pod: core.Pod) -> str:
        return podspec.directory(self._config.root_dir, pod.metadata.uid)


def _sub_path(volume_mount: core.VolumeMount, variables: Mapping[str, str]) -> str:
    path = volume_mount.subPath
    if volume_mount.subPathExpr:
        missing = expand.unresolved(volume_mount.subPathExpr, variables)
        if missing:
            raise ConfigFailure(f'missing value for "{missing[0]}"')
        path = expand.expand(volume_mount.subPathExpr, variables)
    if path.startswith("/"):
        raise ConfigFailure(f"error SubPath `{path}` must not be an absolute path")
    if ".." in path.split("/"):
        raise ConfigFailure(f"unable to provision SubPath `{path}`: must not contain '..'")
    return path
