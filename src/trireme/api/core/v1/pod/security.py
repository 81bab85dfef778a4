"""Types of security: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.machinery.types import Atomic, Enum, Int64, Required, Struct, always

AppArmorProfileType = Annotated[str, Enum(("Unconfined", "RuntimeDefault", "Localhost"))]
SeccompProfileType = Annotated[str, Enum(("Localhost", "RuntimeDefault", "Unconfined"))]
ProcMountType = Annotated[str, Enum(("Default", "Unmasked"))]
SupplementalGroupsPolicy = Annotated[str, Enum(("Merge", "Strict"))]
PodSELinuxChangePolicy = Annotated[str, Enum(("MountOption", "Recursive"))]
PodFSGroupChangePolicy = Annotated[str, Enum(("Always", "OnRootMismatch"))]


class AppArmorProfile(Struct):
    type: Annotated[AppArmorProfileType, Required()] = always(str)
    localhostProfile: str | None = None


class Capabilities(Struct):
    add: Annotated[list[str], Atomic()] = []
    drop: Annotated[list[str], Atomic()] = []


class SELinuxOptions(Struct):
    user: str = ""
    role: str = ""
    type: str = ""
    level: str = ""


class SeccompProfile(Struct):
    type: Annotated[SeccompProfileType, Required()] = always(str)
    localhostProfile: str | None = None


class WindowsSecurityContextOptions(Struct):
    gmsaCredentialSpecName: str | None = None
    gmsaCredentialSpec: str | None = None
    runAsUserName: str | None = None
    hostProcess: bool | None = None


class SecurityContext(Struct):
    capabilities: Capabilities | None = None
    privileged: bool | None = None
    seLinuxOptions: SELinuxOptions | None = None
    windowsOptions: WindowsSecurityContextOptions | None = None
    runAsUser: Int64 | None = None
    runAsGroup: Int64 | None = None
    runAsNonRoot: bool | None = None
    readOnlyRootFilesystem: bool | None = None
    allowPrivilegeEscalation: bool | None = None
    procMount: ProcMountType | None = None
    seccompProfile: SeccompProfile | None = None
    appArmorProfile: AppArmorProfile | None = None


class Sysctl(Struct):
    name: Annotated[str, Required()] = always(str)
    value: Annotated[str, Required()] = always(str)


class PodSecurityContext(Struct):
    seLinuxOptions: SELinuxOptions | None = None
    windowsOptions: WindowsSecurityContextOptions | None = None
    runAsUser: Int64 | None = None
    runAsGroup: Int64 | None = None
    runAsNonRoot: bool | None = None
    supplementalGroups: Annotated[list[Int64], Atomic()] = []
    supplementalGroupsPolicy: SupplementalGroupsPolicy | None = None
    fsGroup: Int64 | None = None
    sysctls: Annotated[list[Sysctl], Atomic()] = []
    fsGroupChangePolicy: PodFSGroupChangePolicy | None = None
    seccompProfile: SeccompProfile | None = None
    appArmorProfile: AppArmorProfile | None = None
    seLinuxChangePolicy: PodSELinuxChangePolicy | None = None
