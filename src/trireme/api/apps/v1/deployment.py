"""Types of deployment: see the API reference, apps/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.autoscaling.v1.scale import Scale
from trireme.api.core.v1.pod.template import PodTemplateSpec
from trireme.machinery import meta
from trireme.machinery.resource import Resource, Subresource, status
from trireme.machinery.types import (
    Default,
    Enum,
    Int32,
    Int64,
    IntOrString,
    Merge,
    Required,
    RetainKeys,
    Struct,
    Time,
    always,
    constant,
    listmap,
)

DeploymentStrategyType = Annotated[str, Enum(("Recreate", "RollingUpdate"))]


class RollingUpdateDeployment(Struct):
    maxUnavailable: IntOrString | None = None
    maxSurge: IntOrString | None = None


class DeploymentStrategy(Struct):
    type: Annotated[DeploymentStrategyType, Default("RollingUpdate")] = ""
    rollingUpdate: RollingUpdateDeployment | None = None


class DeploymentSpec(Struct):
    replicas: Annotated[Int32 | None, Default(1)] = None
    selector: Annotated[meta.LabelSelector | None, Required()] = None
    template: Annotated[PodTemplateSpec, Required()] = always(PodTemplateSpec)
    strategy: Annotated[DeploymentStrategy, RetainKeys()] = always(DeploymentStrategy)
    minReadySeconds: Int32 = 0
    revisionHistoryLimit: Annotated[Int32 | None, Default(10)] = None
    paused: bool = False
    progressDeadlineSeconds: Annotated[Int32 | None, Default(600)] = None


class DeploymentCondition(Struct):
    type: Annotated[str, Required()] = always(str)
    status: Annotated[str, Required()] = always(str)
    lastUpdateTime: Time | None = None
    lastTransitionTime: Time | None = None
    reason: str = ""
    message: str = ""


class DeploymentStatus(Struct):
    observedGeneration: Int64 = 0
    replicas: Int32 = 0
    updatedReplicas: Int32 = 0
    readyReplicas: Int32 = 0
    availableReplicas: Int32 = 0
    unavailableReplicas: Int32 = 0
    terminatingReplicas: Int32 | None = None
    conditions: Annotated[list[DeploymentCondition], listmap("type"), Merge("type")] = []
    collisionCount: Int32 | None = None


class Deployment(Struct):
    kind: str = constant("Deployment")
    apiVersion: str = constant("apps/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: DeploymentSpec = always(DeploymentSpec)
    status: DeploymentStatus = always(DeploymentStatus)


RESOURCE = Resource(
    type=Deployment,
    plural="deployments",
    short_names=("deploy",),
    categories=("all",),
    subresources=(Subresource("scale", ("get", "patch", "update"), Scale), status()),
)
