"""The verbose ``info`` of sandboxes, images and the runtime: JSON of the runtime's own form.

In: the value of ``info`` in a verbose answer. Out: what it says, None or "" where it does not.
Called by ``cri/client``. containerd and CRI-O give the OCI runtime's configuration. Pure.
"""

from __future__ import annotations

import msgspec


class _Namespace(msgspec.Struct):
    type: str = ""
    path: str = ""


class _Linux(msgspec.Struct):
    namespaces: list[_Namespace] = []


class _RuntimeSpec(msgspec.Struct):
    linux: _Linux | None = None


class _Info(msgspec.Struct):
    runtimeSpec: _RuntimeSpec | None = None


def network_namespace(text: str) -> str | None:
    """The path of the sandbox's network namespace; empty where it is the node's."""
    try:
        spec = msgspec.json.decode(text, type=_Info).runtimeSpec
    except msgspec.MsgspecError:
        return None
    if spec is None or spec.linux is None:
        return None
    network = [item.path for item in spec.linux.namespaces if item.type == "network"]
    # A namespace without a path was created by the OCI runtime: its path is unknown.
    return (network[0] or None) if network else ""


class _Image(msgspec.Struct):
    chainID: str = ""


class _Containerd(msgspec.Struct, frozen=True):
    snapshotter: str = ""


class _Config(msgspec.Struct):
    containerd: _Containerd = _Containerd()


def chain_id(text: str) -> str:
    """containerd's name for the unpacked layers of an image."""
    try:
        return msgspec.json.decode(text, type=_Image).chainID
    except msgspec.MsgspecError:
        return ""


def snapshotter(text: str) -> str:
    """What containerd unpacks images with, of its configuration."""
    try:
        return msgspec.json.decode(text, type=_Config).containerd.snapshotter
    except msgspec.MsgspecError:
        return ""
