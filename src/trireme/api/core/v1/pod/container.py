"""Types of container: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.core.v1.pod.probes import Lifecycle, Probe
from trireme.api.core.v1.pod.resources import ContainerResizePolicy, ResourceRequirements
from trireme.api.core.v1.pod.security import SecurityContext
from trireme.api.core.v1.pod.sources import (
    ConfigMapKeySelector,
    FileKeySelector,
    ObjectFieldSelector,
    ResourceFieldSelector,
    SecretKeySelector,
)
from trireme.machinery.types import (
    Atomic,
    Default,
    Enum,
    Int32,
    ListSet,
    Merge,
    Required,
    Struct,
    always,
    listmap,
)

Protocol = Annotated[str, Enum(("SCTP", "TCP", "UDP"))]
MountPropagationMode = Annotated[str, Enum(("Bidirectional", "HostToContainer", "None"))]
RecursiveReadOnlyMode = Annotated[str, Enum(("Disabled", "Enabled", "IfPossible"))]
ContainerRestartPolicy = Annotated[str, Enum(("Always", "Never", "OnFailure"))]
TerminationMessagePolicy = Annotated[str, Enum(("File", "FallbackToLogsOnError"))]
PullPolicy = Annotated[str, Enum(("Always", "Never", "IfNotPresent"))]


class ContainerPort(Struct):
    name: str = ""
    hostPort: Int32 = 0
    containerPort: Annotated[Int32, Required()] = always(int)
    protocol: Annotated[Protocol, Default("TCP")] = ""
    hostIP: str = ""


class ContainerRestartRuleOnExitCodes(Struct):
    operator: Annotated[str, Required()] = ""
    values: Annotated[list[Int32], ListSet()] = []


class ContainerRestartRule(Struct):
    action: Annotated[str, Required()] = ""
    exitCodes: ContainerRestartRuleOnExitCodes | None = None


class ConfigMapEnvSource(Struct):
    name: str = ""
    optional: bool | None = None


class SecretEnvSource(Struct):
    name: str = ""
    optional: bool | None = None


class EnvFromSource(Struct):
    prefix: str = ""
    configMapRef: ConfigMapEnvSource | None = None
    secretRef: SecretEnvSource | None = None


class EnvVarSource(Struct):
    fieldRef: ObjectFieldSelector | None = None
    resourceFieldRef: ResourceFieldSelector | None = None
    configMapKeyRef: ConfigMapKeySelector | None = None
    secretKeyRef: SecretKeySelector | None = None
    fileKeyRef: FileKeySelector | None = None


class EnvVar(Struct):
    name: Annotated[str, Required()] = always(str)
    value: str = ""
    valueFrom: EnvVarSource | None = None


class VolumeDevice(Struct):
    name: Annotated[str, Required()] = always(str)
    devicePath: Annotated[str, Required()] = always(str)


class VolumeMount(Struct):
    name: Annotated[str, Required()] = always(str)
    readOnly: bool = False
    recursiveReadOnly: RecursiveReadOnlyMode | None = None
    mountPath: Annotated[str, Required()] = always(str)
    subPath: str = ""
    mountPropagation: MountPropagationMode | None = None
    subPathExpr: str = ""


class Container(Struct):
    name: Annotated[str, Required()] = always(str)
    image: str = ""
    command: Annotated[list[str], Atomic()] = []
    args: Annotated[list[str], Atomic()] = []
    workingDir: str = ""
    ports: Annotated[
        list[ContainerPort], listmap("containerPort", "protocol"), Merge("containerPort")
    ] = []
    envFrom: Annotated[list[EnvFromSource], Atomic()] = []
    env: Annotated[list[EnvVar], listmap("name"), Merge("name")] = []
    resources: ResourceRequirements = always(ResourceRequirements)
    resizePolicy: Annotated[list[ContainerResizePolicy], Atomic()] = []
    restartPolicy: ContainerRestartPolicy | None = None
    restartPolicyRules: Annotated[list[ContainerRestartRule], Atomic()] = []
    volumeMounts: Annotated[list[VolumeMount], listmap("mountPath"), Merge("mountPath")] = []
    volumeDevices: Annotated[list[VolumeDevice], listmap("devicePath"), Merge("devicePath")] = []
    livenessProbe: Probe | None = None
    readinessProbe: Probe | None = None
    startupProbe: Probe | None = None
    lifecycle: Lifecycle | None = None
    terminationMessagePath: Annotated[str, Default("/dev/termination-log")] = ""
    terminationMessagePolicy: Annotated[TerminationMessagePolicy, Default("File")] = ""
    imagePullPolicy: PullPolicy = ""
    securityContext: SecurityContext | None = None
    stdin: bool = False
    stdinOnce: bool = False
    tty: bool = False


class EphemeralContainer(Container):
    targetContainerName: str = ""
