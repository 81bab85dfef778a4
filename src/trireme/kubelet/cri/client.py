"""The container runtime over gRPC.

In: an endpoint (``unix:///run/containerd/containerd.sock``). Out: ``contract.Runtime``. Made by the
kubelet's composition root. Rules: CRI v1 (services ``runtime.v1.RuntimeService`` and
``runtime.v1.ImageService``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from os import cpu_count
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc import aio

from trireme.kubelet.cri import gate, images, info, model, wire
from trireme.kubelet.cri.contract import RuntimeFailure
from trireme.kubelet.cri.gate import Gate
from trireme.kubelet.cri.pb import cri_pb2 as pb
from trireme.kubelet.cri.snapshots import Snapshots

UID_LABEL = "io.kubernetes.pod.uid"
MESSAGE_LIMIT = 16 * 1024 * 1024
TIMEOUT = 120.0
# Concurrent calls for each CPU: starts of containers are bound by the CPU.
PARALLEL = 2


class GrpcRuntime:
    """CRI v1 over one gRPC channel. Its maker closes it. ``parallel`` bounds the concurrent calls
    that start, stop and remove sandboxes and containers."""

    def __init__(self, endpoint: str, timeout: float = TIMEOUT, *, parallel: int = 0) -> None:
        target = endpoint if "://" in endpoint else f"unix://{endpoint}"
        self._timeout = timeout
        self._gate = Gate(parallel or PARALLEL * (cpu_count() or 1))
        self._channel = aio.insecure_channel(
            target,
            options=[
                ("grpc.max_receive_message_length", MESSAGE_LIMIT),
                ("grpc.max_send_message_length", MESSAGE_LIMIT),
                # Reconnect to a restarted runtime within a second, not after minutes.
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 1000),
                # containerd's server refuses the default authority of a unix socket.
                ("grpc.default_authority", "localhost"),
            ],
        )
        self._calls: dict[str, Any] = {}
        self._snapshots = Snapshots(self._channel, timeout)
        self._mounts_images: bool | None = None

    async def version(self) -> model.Version:
        return wire.read(model.Version, await self._runtime("Version", pb.VersionRequest()))

    async def status(self) -> model.Status:
        return wire.read(model.Status, await self._runtime("Status", pb.StatusRequest()))

    async def cgroup_driver(self) -> str:
        try:
            answer = await self._runtime("RuntimeConfig", pb.RuntimeConfigRequest())
        except RuntimeFailure as failure:
            if failure.code == "UNIMPLEMENTED":
                return ""
            raise
        return "systemd" if answer.linux.cgroup_driver == pb.SYSTEMD else "cgroupfs"

    async def update_pod_cidr(self, cidr: str) -> None:
        request = pb.UpdateRuntimeConfigRequest()
        request.runtime_config.network_config.pod_cidr = cidr
        await self._runtime("UpdateRuntimeConfig", request)

    async def run_sandbox(self, config: model.SandboxConfig, handler: str = "") -> str:
        request = pb.RunPodSandboxRequest(runtime_handler=handler)
        wire.fill(request.config, config)
        async with self._gate.turn(gate.SANDBOX):
            # Network set-up may be slow; upstream allows twice the ordinary time.
            answer = await self._runtime("RunPodSandbox", request, timeout=self._timeout * 2)
        made: str = answer.pod_sandbox_id
        return made

    async def stop_sandbox(self, sandbox_id: str) -> None:
        request = pb.StopPodSandboxRequest(pod_sandbox_id=sandbox_id)
        async with self._gate.turn(gate.TEAR_DOWN):
            await self._runtime("StopPodSandbox", request)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        request = pb.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id)
        async with self._gate.turn(gate.TEAR_DOWN):
            await self._runtime("RemovePodSandbox", request)

    async def sandbox_status(self, sandbox_id: str) -> model.SandboxStatus:
        request = pb.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id)
        answer = await self._runtime("PodSandboxStatus", request)
        return wire.read(model.SandboxStatus, answer.status)

    async def list_sandboxes(self, pod_uid: str = "") -> list[model.Sandbox]:
        request = pb.ListPodSandboxRequest()
        if pod_uid:
            request.filter.label_selector[UID_LABEL] = pod_uid
        answer = await self._runtime("ListPodSandbox", request)
        return [wire.read(model.Sandbox, item) for item in answer.items]

    async def create_container(
        self, sandbox_id: str, config: model.ContainerConfig, sandbox: model.SandboxConfig
    ) -> str:
        request = pb.CreateContainerRequest(pod_sandbox_id=sandbox_id)
        wire.fill(request.config, config)
        wire.fill(request.sandbox_config, sandbox)
        async with self._gate.turn(gate.CREATE):
            answer = await self._runtime("CreateContainer", request)
        made: str = answer.container_id
        return made

    async def start_container(self, container_id: str) -> None:
        request = pb.StartContainerRequest(container_id=container_id)
        async with self._gate.turn(gate.START):
            await self._runtime("StartContainer", request)

    async def stop_container(self, container_id: str, timeout: int) -> None:
        request = pb.StopContainerRequest(container_id=container_id, timeout=timeout)
        await self._runtime("StopContainer", request, timeout=self._timeout + timeout)

    async def remove_container(self, container_id: str) -> None:
        request = pb.RemoveContainerRequest(container_id=container_id)
        async with self._gate.turn(gate.TEAR_DOWN):
            await self._runtime("RemoveContainer", request)

    async def container_status(self, container_id: str) -> model.ContainerStatus:
        request = pb.ContainerStatusRequest(container_id=container_id)
        answer = await self._runtime("ContainerStatus", request)
        return wire.read(model.ContainerStatus, answer.status)

    async def list_containers(self, pod_uid: str = "") -> list[model.Container]:
        request = pb.ListContainersRequest()
        if pod_uid:
            request.filter.label_selector[UID_LABEL] = pod_uid
        answer = await self._runtime("ListContainers", request)
        return [wire.read(model.Container, item) for item in answer.containers]

    async def update_resources(self, container_id: str, linux: model.LinuxResources) -> None:
        request = pb.UpdateContainerResourcesRequest(container_id=container_id)
        wire.fill(request.linux, linux)
        await self._runtime("UpdateContainerResources", request)

    async def reopen_log(self, container_id: str) -> None:
        request = pb.ReopenContainerLogRequest(container_id=container_id)
        await self._runtime("ReopenContainerLog", request)

    async def exec_sync(
        self, container_id: str, command: list[str], timeout: float
    ) -> model.ExecResult:
        request = pb.ExecSyncRequest(container_id=container_id, cmd=command)
        request.timeout = max(1, int(timeout)) if timeout else 0
        answer = await self._runtime("ExecSync", request, timeout=timeout + 2 if timeout else None)
        return wire.read(model.ExecResult, answer)

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
        request = pb.ExecRequest(
            container_id=container_id,
            cmd=command,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            tty=tty,
        )
        url: str = (await self._runtime("Exec", request)).url
        return url

    async def attach_url(
        self, container_id: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> str:
        request = pb.AttachRequest(
            container_id=container_id, stdin=stdin, stdout=stdout, stderr=stderr, tty=tty
        )
        url: str = (await self._runtime("Attach", request)).url
        return url

    async def port_forward_url(self, sandbox_id: str, ports: list[int]) -> str:
        request = pb.PortForwardRequest(pod_sandbox_id=sandbox_id, port=ports)
        url: str = (await self._runtime("PortForward", request)).url
        return url

    async def network_namespace(self, sandbox_id: str) -> str | None:
        request = pb.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id, verbose=True)
        answer = await self._runtime("PodSandboxStatus", request)
        return info.network_namespace(answer.info.get("info", ""))

    async def list_images(self) -> list[model.Image]:
        answer = await self._images("ListImages", pb.ListImagesRequest())
        return [wire.read(model.Image, item) for item in answer.images]

    async def image_status(self, image: str) -> model.Image | None:
        request = pb.ImageStatusRequest(image=pb.ImageSpec(image=image))
        answer = await self._images("ImageStatus", request)
        return wire.read(model.Image, answer.image) if answer.HasField("image") else None

    async def pull_image(
        self, image: model.ImageSpec, auth: model.AuthConfig | None, sandbox: model.SandboxConfig
    ) -> str:
        request = pb.PullImageRequest()
        wire.fill(request.image, image)
        wire.fill(request.sandbox_config, sandbox)
        if auth is not None:
            wire.fill(request.auth, auth)
        # No deadline: a large image over a slow line is not an error.
        answer = await self._images("PullImage", request, timeout=None)
        reference: str = answer.image_ref
        return reference

    async def mounts_images(self) -> bool:
        if self._mounts_images is None:
            version = await self.version()
            self._mounts_images = images.mounts(version.runtime_name, version.runtime_version)
        return self._mounts_images

    async def view_image(self, key: str, image_id: str) -> list[model.ImageMount]:
        request = pb.ImageStatusRequest(image=pb.ImageSpec(image=image_id), verbose=True)
        about = await self._images("ImageStatus", request)
        status = await self._runtime("Status", pb.StatusRequest(verbose=True))
        chain = info.chain_id(about.info.get("info", ""))
        snapshotter = info.snapshotter(status.info.get("config", ""))
        if not chain or not snapshotter:
            raise RuntimeFailure("UNIMPLEMENTED", "the container runtime cannot mount images")
        return await self._snapshots.view(snapshotter, key, chain)

    async def remove_view(self, key: str) -> None:
        status = await self._runtime("Status", pb.StatusRequest(verbose=True))
        snapshotter = info.snapshotter(status.info.get("config", ""))
        if snapshotter:
            await self._snapshots.remove(snapshotter, key)

    async def remove_image(self, image: str) -> None:
        await self._images("RemoveImage", pb.RemoveImageRequest(image=pb.ImageSpec(image=image)))

    async def image_fs_info(
        self,
    ) -> tuple[list[model.FilesystemUsage], list[model.FilesystemUsage]]:
        answer = await self._images("ImageFsInfo", pb.ImageFsInfoRequest())
        return (
            [wire.read(model.FilesystemUsage, item) for item in answer.image_filesystems],
            [wire.read(model.FilesystemUsage, item) for item in answer.container_filesystems],
        )

    async def list_stats(self) -> list[model.ContainerStats]:
        answer = await self._runtime("ListContainerStats", pb.ListContainerStatsRequest())
        return [wire.read(model.ContainerStats, item) for item in answer.stats]

    async def events(self) -> AsyncIterator[model.ContainerEvent]:
        stream = self._channel.unary_stream(
            "/runtime.v1.RuntimeService/GetContainerEvents",
            request_serializer=pb.GetEventsRequest.SerializeToString,
            response_deserializer=pb.ContainerEventResponse.FromString,
        )(pb.GetEventsRequest())
        try:
            async for event in stream:
                yield model.ContainerEvent(
                    container_id=event.container_id, pod_uid=event.pod_sandbox_status.metadata.uid
                )
        except aio.AioRpcError as error:
            raise _failure(error) from error
        finally:
            stream.cancel()

    async def close(self) -> None:
        await self._channel.close()

    async def _runtime(self, verb: str, request: Message, timeout: float | None = 0) -> Any:
        return await self._call("RuntimeService", verb, request, timeout)

    async def _images(self, verb: str, request: Message, timeout: float | None = 0) -> Any:
        return await self._call("ImageService", verb, request, timeout)

    async def _call(self, service: str, verb: str, request: Message, timeout: float | None) -> Any:
        call = self._calls.get(verb)
        if call is None:
            answer = getattr(pb, verb + "Response")
            call = self._calls[verb] = self._channel.unary_unary(
                f"/runtime.v1.{service}/{verb}",
                request_serializer=type(request).SerializeToString,
                response_deserializer=answer.FromString,
            )
        try:
            return await call(request, timeout=self._timeout if timeout == 0 else timeout)
        except aio.AioRpcError as error:
            raise _failure(error) from error


def _failure(error: grpc.RpcError) -> RuntimeFailure:
    return RuntimeFailure(error.code().name, error.details() or "")
