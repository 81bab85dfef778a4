"""The calls of the CSI client as a driver receives them over a unix socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode, aio, unary_unary_rpc_method_handler
from grpc import method_handlers_generic_handler as generic

from trireme.kubelet.csi import contract
from trireme.kubelet.csi.client import GrpcNode, GrpcSockets
from trireme.kubelet.csi.contract import Capability, CsiError, NodeInfo, Plugin, Usage
from trireme.kubelet.csi.pb import csi_pb2 as pb
from trireme.kubelet.csi.pb import registration_pb2 as registration

CAPABILITY = Capability("SINGLE_NODE_WRITER", fs_type="ext4", mount_flags=("noatime",), group="42")
VOLUME = contract.Volume("v1", CAPABILITY, {"device": "/dev/x"}, {"a": "b"}, {"user": "alice"})


class Driver:
    """Answers from a table, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        rpc = pb.NodeServiceCapability.RPC
        kinds = [rpc.STAGE_UNSTAGE_VOLUME, rpc.EXPAND_VOLUME]
        self.answers: dict[str, Any] = {
            "NodeGetInfo": pb.NodeGetInfoResponse(
                node_id="n",
                max_volumes_per_node=7,
                accessible_topology=pb.Topology(segments={"zone": "a"}),
            ),
            "NodeGetCapabilities": pb.NodeGetCapabilitiesResponse(
                capabilities=[pb.NodeServiceCapability(rpc=rpc(type=kind)) for kind in kinds]
            ),
            "NodeStageVolume": pb.NodeStageVolumeResponse(),
            "NodeUnstageVolume": pb.NodeUnstageVolumeResponse(),
            "NodePublishVolume": pb.NodePublishVolumeResponse(),
            "NodeExpandVolume": pb.NodeExpandVolumeResponse(capacity_bytes=5),
            "NodeGetVolumeStats": pb.NodeGetVolumeStatsResponse(
                usage=[pb.VolumeUsage(available=1, total=3, used=2, unit=pb.VolumeUsage.BYTES)]
            ),
            "GetInfo": registration.PluginInfo(
                type="CSIPlugin", name="d", endpoint="/e", supported_versions=["1.0.0"]
            ),
            "NotifyRegistrationStatus": registration.RegistrationStatusResponse(),
        }

    def handlers(self, service: str, messages: Any, requests: dict[str, str]) -> Any:
        return generic(
            service,
            {
                verb: unary_unary_rpc_method_handler(
                    self._answer(verb),
                    request_deserializer=getattr(messages, request).FromString,
                    response_serializer=lambda message: message.SerializeToString(),
                )
                for verb, request in requests.items()
            },
        )

    def _answer(self, verb: str) -> Any:
        async def answer(request: Any, context: Any) -> Any:
            self.asked[verb] = request
            if verb == "NodeUnpublishVolume":
                await context.abort(StatusCode.INTERNAL, "no such mount")
            return self.answers[verb]

        return answer


@asynccontextmanager
async def listening(path: Path) -> AsyncIterator[Driver]:
    driver, server = Driver(), aio.server()
    verbs = [name for name in driver.answers if name.startswith("Node")] + ["NodeUnpublishVolume"]
    server.add_generic_rpc_handlers((
        driver.handlers("csi.v1.Node", pb, {verb: f"{verb}Request" for verb in verbs}),
        driver.handlers(
            "pluginregistration.Registration",
            registration,
            {"GetInfo": "InfoRequest", "NotifyRegistrationStatus": "RegistrationStatus"},
        ),
    ))  # fmt: skip
    server.add_insecure_port(f"unix://{path}")
    await server.start()
    try:
        yield driver
    finally:
        await server.stop(None)


async def test_the_calls_of_a_volumes_life(tmp_path: Path) -> None:
    path = tmp_path / "csi.sock"
    async with listening(path) as driver:
        node = GrpcNode(str(path))
        try:
            assert await node.info() == NodeInfo("n", 7, {"zone": "a"})
            assert await node.capabilities() == {contract.STAGE_UNSTAGE, contract.EXPAND}
            await node.stage(VOLUME, "/staging")
            staged = driver.asked["NodeStageVolume"]
            assert (staged.volume_id, staged.staging_target_path) == ("v1", "/staging")
            assert dict(staged.publish_context) == {"device": "/dev/x"}
            assert dict(staged.volume_context) == {"a": "b"}
            assert dict(staged.secrets) == {"user": "alice"}
            capability = staged.volume_capability
            assert capability.access_mode.mode == pb.VolumeCapability.AccessMode.SINGLE_NODE_WRITER
            assert capability.mount.fs_type == "ext4"
            assert list(capability.mount.mount_flags) == ["noatime"]
            assert capability.mount.volume_mount_group == "42"
            block = contract.Volume("v2", Capability("MULTI_NODE_MULTI_WRITER", block=True))
            await node.publish(block, "", "/target", read_only=True)
            published = driver.asked["NodePublishVolume"]
            assert published.volume_capability.WhichOneof("access_type") == "block"
            assert published.readonly and published.target_path == "/target"
            await node.expand(VOLUME, "/staging", "/target", 9)
            assert driver.asked["NodeExpandVolume"].capacity_range.required_bytes == 9
            assert await node.stats("v1", "", "/target") == [Usage("BYTES", 1, 3, 2)]
            with pytest.raises(CsiError, match="code = Internal desc = no such mount"):
                await node.unpublish("v1", "/target")
            await node.unstage("v1", "/staging")
            assert driver.asked["NodeUnstageVolume"].staging_target_path == "/staging"
        finally:
            await node.close()


async def test_a_registrar_says_what_it_has_and_hears_of_it(tmp_path: Path) -> None:
    path = tmp_path / "reg.sock"
    async with listening(path) as driver:
        registrar = GrpcSockets().registrar(str(path))
        try:
            assert await registrar.plugin() == Plugin("CSIPlugin", "d", "/e", ("1.0.0",))
            await registrar.notify("")
            assert driver.asked["NotifyRegistrationStatus"].plugin_registered
            await registrar.notify("no")
            assert driver.asked["NotifyRegistrationStatus"].error == "no"
        finally:
            await registrar.close()


async def test_a_driver_that_does_not_listen(tmp_path: Path) -> None:
    node = GrpcNode(str(tmp_path / "none.sock"))
    try:
        with pytest.raises(CsiError) as caught:
            await node.info()
        assert caught.value.code == "UNAVAILABLE"
    finally:
        await node.close()
