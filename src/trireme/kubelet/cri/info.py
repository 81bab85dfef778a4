"""The verbose ``info`` of a sandbox: JSON whose form depends on the runtime.

In: the value of ``info`` in a verbose answer. Out: the network namespace, None where it is absent.
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
