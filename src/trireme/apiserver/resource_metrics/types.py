"""The kinds of metrics.k8s.io/v1beta1. Types only: made when asked for, never stored.

https://kubernetes.io/docs/reference/external-api/metrics.v1beta1/; upstream: k8s.io/metrics.
"""

from __future__ import annotations

from typing import Annotated

from trireme.api import columns
from trireme.machinery import meta
from trireme.machinery.resource import Column, Resource
from trireme.machinery.types import (
    Duration,
    Quantity,
    Required,
    Struct,
    Time,
    always,
    constant,
    listmap,
    null,
)

GROUP = "metrics.k8s.io"
VERSION = f"{GROUP}/v1beta1"


class ContainerMetrics(Struct):
    name: Annotated[str, Required()] = always(str)
    usage: Annotated[dict[str, Quantity], Required()] = always(dict)


class NodeMetrics(Struct):
    kind: str = constant("NodeMetrics")
    apiVersion: str = constant(VERSION)
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    timestamp: Annotated[Time | None, Required()] = null()
    window: Annotated[Duration, Required()] = always(str)
    usage: Annotated[dict[str, Quantity], Required()] = always(dict)


class PodMetrics(Struct):
    kind: str = constant("PodMetrics")
    apiVersion: str = constant(VERSION)
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    timestamp: Annotated[Time | None, Required()] = null()
    window: Annotated[Duration, Required()] = always(str)
    containers: Annotated[list[ContainerMetrics], Required(), listmap("name")] = always(list)


def _usage(resource: str) -> Column:
    def cell(obj: NodeMetrics) -> str:
        return obj.usage.get(resource, "")

    return Column(resource, cell)


NODES = Resource(
    type=NodeMetrics,
    plural="nodes",
    namespaced=False,
    verbs=("get", "list"),
    columns=(columns.NAME, _usage("cpu"), _usage("memory"), Column("Window", "window")),
)
PODS = Resource(
    type=PodMetrics,
    plural="pods",
    verbs=("get", "list"),
    columns=(columns.NAME, Column("Window", "window")),
)
RESOURCES = (NODES, PODS)
