"""Types of replicaset: see the API reference, apps/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.autoscaling.v1.scale import Scale
from trireme.api.core.v1.pod.template import PodTemplateSpec
from trireme.machinery import meta
from trireme.machinery.resource import Resource, Subresource, status
from trireme.machinery.types import (
    Default,
    Int32,
    Int64,
    Merge,
    Required,
    Struct,
    Time,
    always,
    constant,
    listmap,
)


class ReplicaSetSpec(Struct):
    replicas: Annotated[Int32 | None, Default(1)] = None
    minReadySeconds: Int32 = 0
    selector: Annotated[meta.LabelSelector | None, Required()] = None
    template: PodTemplateSpec = always(PodTemplateSpec)


class ReplicaSetCondition(Struct):
    type: Annotated[str, Required()] = always(str)
    status: Annotated[str, Required()] = always(str)
    lastTransitionTime: Time | None = None
    reason: str = ""
    message: str = ""


class ReplicaSetStatus(Struct):
    replicas: Annotated[Int32, Required()] = always(int)
    fullyLabeledReplicas: Int32 = 0
    readyReplicas: Int32 = 0
    availableReplicas: Int32 = 0
    terminatingReplicas: Int32 | None = None
    observedGeneration: Int64 = 0
    conditions: Annotated[list[ReplicaSetCondition], listmap("type"), Merge("type")] = []


class ReplicaSet(Struct):
    kind: str = constant("ReplicaSet")
    apiVersion: str = constant("apps/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: ReplicaSetSpec = always(ReplicaSetSpec)
    status: ReplicaSetStatus = always(ReplicaSetStatus)


RESOURCE = Resource(
    type=ReplicaSet,
    plural="replicasets",
    short_names=("rs",),
    categories=("all",),
    subresources=(Subresource("scale", ("get", "patch", "update"), Scale), status()),
)
