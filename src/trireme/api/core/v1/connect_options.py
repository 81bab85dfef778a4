"""The options of connections (exec, attach, portforward, proxy), as admission sees them.

Clients send them in the query. Upstream: core/v1 PodExecOptions and its like.
"""

from __future__ import annotations

from trireme.machinery.types import Int32, Struct, always, constant


class PodExecOptions(Struct):
    kind: str = constant("PodExecOptions")
    apiVersion: str = constant("v1")
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False
    container: str = ""
    command: list[str] = always(list)


class PodAttachOptions(Struct):
    kind: str = constant("PodAttachOptions")
    apiVersion: str = constant("v1")
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False
    container: str = ""


class PodPortForwardOptions(Struct):
    kind: str = constant("PodPortForwardOptions")
    apiVersion: str = constant("v1")
    ports: list[Int32] = []


class ProxyOptions(Struct):
    """Of pods, services and nodes; ``kind`` says which."""

    kind: str = ""
    apiVersion: str = constant("v1")
    path: str = ""
