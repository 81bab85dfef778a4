"""containerd's snapshots, beside its CRI on the same socket.

In: a key, and the chain id of an unpacked image. Out: mounts with the image's content. Called by
``cri/client``. Rules: containerd, ``services.snapshots.v1``; its garbage collector keeps what has
the label ``containerd.io/gc.root``.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message
from grpc import aio

from trireme.kubelet.cri import model
from trireme.kubelet.cri.contract import RuntimeFailure
from trireme.kubelet.cri.pb import snapshots_pb2 as pb

NAMESPACE = (("containerd-namespace", "k8s.io"),)
KEEP = "containerd.io/gc.root"


class Snapshots:
    """Views by key. Its maker closes the channel."""

    def __init__(self, channel: aio.Channel, timeout: float) -> None:
        self._channel = channel
        self._timeout = timeout

    async def view(self, snapshotter: str, key: str, chain: str) -> list[model.ImageMount]:
        request = pb.ViewSnapshotRequest(
            snapshotter=snapshotter, key=key, parent=chain, labels={KEEP: "true"}
        )
        try:
            answer = await self._call("View", request, pb.ViewSnapshotResponse)
        except RuntimeFailure as failure:
            if failure.code != "ALREADY_EXISTS":
                raise
            known = pb.MountsRequest(snapshotter=snapshotter, key=key)
            answer = await self._call("Mounts", known, pb.MountsResponse)
        return [
            model.ImageMount(kind=item.type, source=item.source, options=list(item.options))
            for item in answer.mounts
        ]

    async def remove(self, snapshotter: str, key: str) -> None:
        request = pb.RemoveSnapshotRequest(snapshotter=snapshotter, key=key)
        try:
            await self._call("Remove", request, pb.RemoveSnapshotResponse)
        except RuntimeFailure as failure:
            if not failure.not_found:
                raise

    async def _call(self, verb: str, request: Message, answer: Any) -> Any:
        call: Any = self._channel.unary_unary(
            f"/containerd.services.snapshots.v1.Snapshots/{verb}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        try:
            return await call(request, timeout=self._timeout, metadata=NAMESPACE)
        except aio.AioRpcError as error:
            code, text = error.code().name, error.details() or ""
            raise RuntimeFailure(code, text) from error
