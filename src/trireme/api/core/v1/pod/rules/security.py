"""Security contexts of pods and containers, for Linux.

In: a PodSpec, or a container's SecurityContext. Out: errors on the list given. Called by: ``spec``,
``containers``. Upstream: pkg/apis/core/validation;
https://kubernetes.io/docs/tasks/configure-pod-container/security-context/.
"""

from __future__ import annotations

import re
from typing import Final

from trireme.api import rules
from trireme.api.core.v1.pod.rules import paths, windows
from trireme.api.core.v1.pod.rules.context import PodContext
from trireme.api.core.v1.pod.security import (
    AppArmorProfile,
    PodSecurityContext,
    SeccompProfile,
    SecurityContext,
)
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path

_PROFILES: Final = ("Localhost", "RuntimeDefault", "Unconfined")
_MAX_PROFILE_PATH: Final = 4095
_SYSCTL_SEGMENT: Final = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL: Final = rf"({_SYSCTL_SEGMENT}[\./])*{_SYSCTL_SEGMENT}"
_MAX_SYSCTL: Final = 253
_sysctl: Final = re.compile(rf"{_SYSCTL}\Z").match
# Which kernel namespace a sysctl belongs to.
_IPC_SYSCTLS: Final = (
    "kernel.sem", "kernel.shm", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
    "kernel.shm_rmid_forced", "kernel.msg",
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni",
)  # fmt: skip


def of_pod(errs: Errors, at: Path, spec: PodSpec) -> None:
    """``spec.securityContext``."""
    value = spec.securityContext
    if value is None:
        return
    _ids(errs, at, value)
    for position, group in enumerate(value.supplementalGroups):
        messages = names.is_group_id(group)
        if messages:
            rules.add(errs, at.child("supplementalGroups").index(position), group, messages)
    if spec.shareProcessNamespace and spec.hostPID:
        detail = "ShareProcessNamespace and HostPID cannot both be enabled"
        errs.append(field.invalid(at.child("shareProcessNamespace"), True, detail))
    if value.sysctls:
        _sysctls(errs, at.child("sysctls"), spec, value)
    policies = ("fsGroupChangePolicy", "supplementalGroupsPolicy", "seLinuxChangePolicy")
    rules.declared(errs, at, value, *policies)
    if value.seccompProfile is not None:
        _seccomp(errs, at.child("seccompProfile"), value.seccompProfile)
    if value.windowsOptions is not None:
        windows.options(errs, at.child("windowsOptions"), value.windowsOptions)
    if value.appArmorProfile is not None:
        _apparmor(errs, at.child("appArmorProfile"), value.appArmorProfile)


def of_container(errs: Errors, at: Path, value: SecurityContext, context: PodContext) -> None:
    """``securityContext`` of a container."""
    _ids(errs, at, value)
    if value.procMount is not None:
        rules.declared(errs, at, value, "procMount")
        if context.host_users and value.procMount == "Unmasked":
            detail = "`hostUsers` must be false to use `Unmasked`"
            errs.append(field.invalid(at.child("procMount"), value.procMount, detail))
    if value.seccompProfile is not None:
        _seccomp(errs, at.child("seccompProfile"), value.seccompProfile)
    if value.allowPrivilegeEscalation is False:
        cannot = "cannot set `allowPrivilegeEscalation` to false and "
        if value.privileged:
            errs.append(field.invalid(at, value, cannot + "`privileged` to true"))
        added = value.capabilities.add if value.capabilities is not None else []
        for capability in added:
            if capability == "CAP_SYS_ADMIN":
                detail = cannot + "`capabilities.Add` CAP_SYS_ADMIN"
                errs.append(field.invalid(at, value, detail))
    if value.windowsOptions is not None:
        windows.options(errs, at.child("windowsOptions"), value.windowsOptions)
    if value.appArmorProfile is not None:
        _apparmor(errs, at.child("appArmorProfile"), value.appArmorProfile)


def host_users(errs: Errors, at: Path, spec: PodSpec) -> None:
    """A pod with a user namespace shares no other namespace with the host."""
    if spec.hostUsers is not False:
        return
    detail = "when `hostUsers` is false"
    if spec.hostNetwork:
        errs.append(field.forbidden(at.child("hostNetwork"), detail))
    if spec.hostPID:
        errs.append(field.forbidden(at.child("HostPID"), detail))
    if spec.hostIPC:
        errs.append(field.forbidden(at.child("HostIPC"), detail))
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for position, container in enumerate(getattr(spec, kind)):
            if container.volumeDevices:
                where = at.child(kind).index(position).child("volumeDevices")
                errs.append(field.forbidden(where, detail))


def _ids(errs: Errors, at: Path, value: PodSecurityContext | SecurityContext) -> None:
    for name in ("fsGroup", "runAsUser", "runAsGroup"):
        number = getattr(value, name, None)
        if number is not None:
            messages = names.is_user_id(number)
            if messages:
                rules.add(errs, at.child(name), number, messages)


def _sysctls(errs: Errors, at: Path, spec: PodSpec, value: PodSecurityContext) -> None:
    used: set[str] = set()
    for position, item in enumerate(value.sysctls):
        here, name = at.index(position), item.name
        if not name:
            errs.append(field.required(here.child("name")))
        elif len(name) > _MAX_SYSCTL or not _sysctl(name):
            detail = f"must have at most {_MAX_SYSCTL} characters and match regex ^{_SYSCTL}$"
            errs.append(field.invalid(here.child("name"), name, detail))
        elif name in used:
            errs.append(field.duplicate(here.child("name"), name))
        namespace = _namespace_of(name)
        if spec.hostNetwork and namespace == "net":
            detail = "may not be specified when 'hostNetwork' is true"
            errs.append(field.invalid(here.child("name"), name, detail))
        elif spec.hostIPC and namespace == "ipc":
            detail = "may not be specified when 'hostIPC' is true"
            errs.append(field.invalid(here.child("name"), name, detail))
        used.add(name)


def _namespace_of(name: str) -> str:
    normal = _normal(name)
    if normal in _IPC_SYSCTLS or normal.startswith("fs.mqueue."):
        return "ipc"
    return "net" if normal.startswith("net.") else ""


def _normal(name: str) -> str:
    """Dots and slashes as separators are swapped when a slash comes first."""
    first = re.search(r"[./]", name)
    if first is None or first.group() == ".":
        return name
    return name.translate(str.maketrans("./", "/."))


def _seccomp(errs: Errors, at: Path, profile: SeccompProfile) -> None:
    where = at.child("localhostProfile")
    if not profile.type:
        detail = "type is required when seccompProfile is set"
        errs.append(field.required(at.child("type"), detail))
    else:
        rules.declared(errs, at, profile, "type")
    if profile.type == "Localhost":
        if profile.localhostProfile is None:
            errs.append(field.required(where, "must be set when seccomp type is Localhost"))
        else:
            paths.descending(errs, where, profile.localhostProfile)
    elif profile.localhostProfile is not None:
        detail = "can only be set when seccomp type is Localhost"
        errs.append(field.invalid(where, profile, detail))


def _apparmor(errs: Errors, at: Path, profile: AppArmorProfile) -> None:
    where, path = at.child("localhostProfile"), profile.localhostProfile
    if profile.type == "Localhost":
        if not path:
            errs.append(field.required(where, "must be set when AppArmor type is Localhost"))
            return
        if path != path.strip():
            errs.append(field.invalid(where, path, "must not be padded with whitespace"))
        if len(path.encode()) > _MAX_PROFILE_PATH:
            errs.append(field.too_long(where, _MAX_PROFILE_PATH))
    elif profile.type in _PROFILES:
        if path is not None:
            detail = "can only be set when AppArmor type is Localhost"
            errs.append(field.invalid(where, path, detail))
    elif not profile.type:
        detail = "type is required when appArmorProfile is set"
        errs.append(field.required(at.child("type"), detail))
    else:
        errs.append(field.not_supported(at.child("type"), profile.type, _PROFILES))
