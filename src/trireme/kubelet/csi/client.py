"""CSI drivers and their registrars over gRPC.

In: the path of a unix socket. Out: ``contract.NodeService`` and ``contract.Registrar``. Made by the
kubelet's composition root. Rules: CSI v1 (``csi.v1.Node``); ``pluginregistration.Registration``.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message
from grpc import aio

from trireme.kubelet.csi.contract import (
    Capability,
    CsiError,
    NodeInfo,
    NodeService,
    Plugin,
    Registrar,
    Usage,
    Volume,
)
from trireme.kubelet.csi.pb import csi_pb2 as pb
from trireme.kubelet.csi.pb import registration_pb2 as registration

TIMEOUT = 120.0
REGISTRAR_TIMEOUT = 10.0


class _Channel:
    """The calls of one service on one socket."""

    def __init__(self, path: str, service: str, messages: Any, timeout: float) -> None:
        target = path if "://" in path else f"unix://{path}"
        self._channel = aio.insecure_channel(
            target,
            options=[
                ("grpc.default_authority", "localhost"),
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 1000),
            ],
        )
        self._service, self._messages, self._timeout = service, messages, timeout

    async def call(self, verb: str, request: Message, response: str = "") -> Any:
        answer = getattr(self._messages, response or f"{verb}Response")
        call = self._channel.unary_unary(
            f"/{self._service}/{verb}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        try:
            return await call(request, timeout=self._timeout)
        except aio.AioRpcError as error:
            raise CsiError(error.code().name, error.details() or "") from error

    async def close(self) -> None:
        await self._channel.close()


class GrpcNode:
    """``contract.NodeService``."""

    def __init__(self, endpoint: str, timeout: float = TIMEOUT) -> None:
        self._channel = _Channel(endpoint, "csi.v1.Node", pb, timeout)

    async def info(self) -> NodeInfo:
        found = await self._channel.call("NodeGetInfo", pb.NodeGetInfoRequest())
        topology = dict(found.accessible_topology.segments)
        return NodeInfo(found.node_id, found.max_volumes_per_node, topology)

    async def capabilities(self) -> frozenset[str]:
        found = await self._channel.call("NodeGetCapabilities", pb.NodeGetCapabilitiesRequest())
        names = pb.NodeServiceCapability.RPC.Type
        return frozenset(
            names.Name(item.rpc.type)
            for item in found.capabilities
            if item.HasField("rpc") and item.rpc.type in names.values()
        )

    async def stage(self, volume: Volume, staging: str) -> None:
        request = pb.NodeStageVolumeRequest(
            volume_id=volume.id,
            staging_target_path=staging,
            publish_context=volume.publish_context,
            volume_context=volume.context,
            secrets=volume.secrets,
        )
        _fill(request.volume_capability, volume.capability)
        await self._channel.call("NodeStageVolume", request)

    async def unstage(self, volume_id: str, staging: str) -> None:
        request = pb.NodeUnstageVolumeRequest(volume_id=volume_id, staging_target_path=staging)
        await self._channel.call("NodeUnstageVolume", request)

    async def publish(self, volume: Volume, staging: str, target: str, *, read_only: bool) -> None:
        request = pb.NodePublishVolumeRequest(
            volume_id=volume.id,
            staging_target_path=staging,
            target_path=target,
            readonly=read_only,
            publish_context=volume.publish_context,
            volume_context=volume.context,
            secrets=volume.secrets,
        )
        _fill(request.volume_capability, volume.capability)
        await self._channel.call("NodePublishVolume", request)

    async def unpublish(self, volume_id: str, target: str) -> None:
        request = pb.NodeUnpublishVolumeRequest(volume_id=volume_id, target_path=target)
        await self._channel.call("NodeUnpublishVolume", request)

    async def expand(self, volume: Volume, staging: str, path: str, size: int) -> None:
        request = pb.NodeExpandVolumeRequest(
            volume_id=volume.id,
            staging_target_path=staging,
            volume_path=path,
            capacity_range=pb.CapacityRange(required_bytes=size),
            secrets=volume.secrets,
        )
        _fill(request.volume_capability, volume.capability)
        await self._channel.call("NodeExpandVolume", request)

    async def stats(self, volume_id: str, staging: str, path: str) -> list[Usage]:
        request = pb.NodeGetVolumeStatsRequest(
            volume_id=volume_id, staging_target_path=staging, volume_path=path
        )
        found = await self._channel.call("NodeGetVolumeStats", request)
        units = pb.VolumeUsage.Unit
        return [
            Usage(units.Name(item.unit), item.available, item.total, item.used)
            for item in found.usage
            if item.unit in units.values()
        ]

    async def close(self) -> None:
        await self._channel.close()


class GrpcRegistrar:
    """``contract.Registrar``."""

    def __init__(self, path: str) -> None:
        name = "pluginregistration.Registration"
        self._channel = _Channel(path, name, registration, REGISTRAR_TIMEOUT)

    async def plugin(self) -> Plugin:
        request = registration.InfoRequest()
        found = await self._channel.call("GetInfo", request, "PluginInfo")
        versions = tuple(found.supported_versions)
        return Plugin(found.type, found.name, found.endpoint, versions)

    async def notify(self, error: str) -> None:
        request = registration.RegistrationStatus(plugin_registered=not error, error=error)
        response = "RegistrationStatusResponse"
        await self._channel.call("NotifyRegistrationStatus", request, response)

    async def close(self) -> None:
        await self._channel.close()


class GrpcSockets:
    """``contract.Sockets``."""

    def registrar(self, path: str) -> Registrar:
        return GrpcRegistrar(path)

    def node(self, endpoint: str) -> NodeService:
        return GrpcNode(endpoint)


def _fill(message: pb.VolumeCapability, capability: Capability) -> None:
    modes = pb.VolumeCapability.AccessMode
    message.access_mode.CopyFrom(modes(mode=capability.access_mode))
    if capability.block:
        message.block.SetInParent()
        return
    message.mount.fs_type = capability.fs_type
    message.mount.mount_flags.extend(capability.mount_flags)
    message.mount.volume_mount_group = capability.group
    message.mount.SetInParent()
