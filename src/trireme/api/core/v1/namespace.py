"""Types of namespace: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.machinery import meta
from trireme.machinery.resource import Resource, Subresource, status
from trireme.machinery.types import (
    Atomic,
    Enum,
    Merge,
    Required,
    Struct,
    Time,
    always,
    constant,
    listmap,
)

NamespacePhase = Annotated[str, Enum(("Active", "Terminating"))]


class NamespaceSpec(Struct):
    finalizers: Annotated[list[str], Atomic()] = []


class NamespaceCondition(Struct):
    type: Annotated[str, Required()] = always(str)
    status: Annotated[str, Required()] = always(str)
    lastTransitionTime: Time | None = None
    reason: str = ""
    message: str = ""


class NamespaceStatus(Struct):
    phase: NamespacePhase = ""
    conditions: Annotated[list[NamespaceCondition], listmap("type"), Merge("type")] = []


class Namespace(Struct):
    kind: str = constant("Namespace")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: NamespaceSpec = always(NamespaceSpec)
    status: NamespaceStatus = always(NamespaceStatus)


RESOURCE = Resource(
    type=Namespace,
    plural="namespaces",
    namespaced=False,
    short_names=("ns",),
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    subresources=(Subresource("finalize", ("update",)), status()),
)
