"""What the pod's operating system allows: fields of Linux pods, of Windows pods, of neither.

In: a PodSpec, or ``windowsOptions``. Out: errors on the list given. Called by: ``spec``,
``security``. Upstream: pkg/apis/core/validation;
https://kubernetes.io/docs/concepts/windows/intro/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from trireme.api import rules
from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.security import WindowsSecurityContextOptions
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path

_SYSTEMS: Final = ("linux", "windows")
_KINDS: Final = ("initContainers", "containers", "ephemeralContainers")
_POD_FIELDS: Final = (
    "appArmorProfile", "seLinuxOptions", "seccompProfile", "fsGroup", "fsGroupChangePolicy",
    "sysctls", "runAsUser", "runAsGroup", "supplementalGroups", "supplementalGroupsPolicy",
    "seLinuxChangePolicy",
)  # fmt: skip
_SPEC_FIELDS: Final = ("hostUsers", "hostPID", "hostIPC", "shareProcessNamespace")
_CONTAINER_FIELDS: Final = (
    "appArmorProfile", "seLinuxOptions", "seccompProfile", "capabilities",
    "readOnlyRootFilesystem", "privileged", "allowPrivilegeEscalation", "procMount", "runAsUser",
    "runAsGroup",
)  # fmt: skip
_MAX_CREDENTIAL_SPEC: Final = 64 * 1024
_MAX_DOMAIN: Final = 256
_MAX_USER: Final = 104

_control: Final = re.compile(r"[\x00-\x1f\x7f]").search
_netbios: Final = re.compile(r"""[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}\Z""").match
_DNS_LABEL: Final = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_dns: Final = re.compile(rf"{_DNS_LABEL}(?:\.{_DNS_LABEL})*\Z").match
_bad_user: Final = re.compile(r"""["/\\:;|=,+*?<>@\[\]]""").search
_dots_or_spaces: Final = re.compile(r"[. ]+\Z").match


def system(errs: Errors, at: Path, spec: PodSpec) -> None:
    """``spec.os`` and the fields that it forbids."""
    if spec.os is None:
        return
    if not spec.os.name:
        errs.append(field.required(at.child("os", "name")))
    elif spec.os.name not in _SYSTEMS:
        errs.append(field.not_supported(at.child("os"), spec.os.name, _SYSTEMS))
    elif spec.os.name == "linux":
        _linux(errs, at, spec)
    else:
        _windows(errs, at, spec)


def host_process(errs: Errors, at: Path, spec: PodSpec) -> None:
    """Windows host process containers: all or none, and with the host's network."""
    context = spec.securityContext
    of_pod = None
    if context is not None and context.windowsOptions is not None:
        of_pod = context.windowsOptions.hostProcess
    count = on_host = 0
    for here, container in _containers(at, spec):
        count += 1
        own = None
        if container.securityContext is not None and container.securityContext.windowsOptions:
            own = container.securityContext.windowsOptions.hostProcess
        if of_pod is not None and own is not None and of_pod != own:
            where = here.child("securityContext", "windowsOptions", "hostProcess")
            value = "true" if of_pod else "false"
            detail = f"pod hostProcess value must be identical if both are specified, was {value}"
            errs.append(field.invalid(where, own, detail))
        on_host += bool(of_pod if own is None else own)
    if not on_host:
        return
    if on_host != count:
        detail = (
            "If pod contains any hostProcess containers then all containers must be HostProcess "
            "containers"
        )
        errs.append(field.invalid(at, "", detail))
    if not spec.hostNetwork:
        detail = "hostNetwork must be true if pod contains any hostProcess containers"
        errs.append(field.invalid(at.child("hostNetwork"), False, detail))


def options(errs: Errors, at: Path, value: WindowsSecurityContextOptions) -> None:
    """``windowsOptions`` of a pod or container."""
    name, spec, user = value.gmsaCredentialSpecName, value.gmsaCredentialSpec, value.runAsUserName
    if name is not None:
        rules.syntax(errs, at, "gmsaCredentialSpecName", name, names.is_dns1123_subdomain)
    if spec is not None:
        where = at.child("gmsaCredentialSpec")
        if not spec:
            detail = "gmsaCredentialSpec cannot be an empty string"
            errs.append(field.invalid(where, spec, detail))
        elif len(spec.encode()) > _MAX_CREDENTIAL_SPEC:
            detail = "gmsaCredentialSpec size must be under 64 KiB"
            errs.append(field.invalid(where, spec, detail))
    if user is not None:
        rules.add(errs, at.child("runAsUserName"), user, _user_name(user))


def _user_name(text: str) -> list[str]:
    if not text:
        return ["runAsUserName cannot be an empty string"]
    if _control(text):
        return ["runAsUserName cannot contain control characters"]
    if text.count("\\") > 1:
        return ["runAsUserName cannot contain more than one backslash"]
    domain, backslash, user = text.rpartition("\\")
    found = []
    if len(domain) >= _MAX_DOMAIN:
        found.append(f"runAsUserName's Domain length must be under {_MAX_DOMAIN} characters")
    if backslash and not (_netbios(domain) or _dns(domain)):
        found.append("runAsUserName's Domain doesn't match the NetBios nor the DNS format")
    if not user:
        found.append("runAsUserName's User cannot be empty")
    elif len(user) > _MAX_USER:
        limit = f"must not be longer than {_MAX_USER} characters"
        found.append(f"runAsUserName's User length {limit}")
    if _dots_or_spaces(user):
        found.append("runAsUserName's User cannot contain only periods or spaces")
    if _bad_user(user):
        bad = '"/\\:;|=,+*?<>@[]'
        found.append(f"runAsUserName's User cannot contain the following characters: {bad}")
    return found


def _linux(errs: Errors, at: Path, spec: PodSpec) -> None:
    detail = "windows options cannot be set for a linux pod"
    context = spec.securityContext
    if context is not None and context.windowsOptions is not None:
        errs.append(field.forbidden(at.child("securityContext", "windowsOptions"), detail))
    for here, container in _containers(at, spec):
        own = container.securityContext
        if own is not None and own.windowsOptions is not None:
            errs.append(field.forbidden(here.child("securityContext", "windowsOptions"), detail))


def _windows(errs: Errors, at: Path, spec: PodSpec) -> None:
    detail = "cannot be set for a windows pod"
    for name in _SPEC_FIELDS:
        value = getattr(spec, name)
        if value or (value is not None and name in ("hostUsers", "shareProcessNamespace")):
            errs.append(field.forbidden(at.child(name), detail))
    if spec.securityContext is not None:
        for name in _POD_FIELDS:
            if getattr(spec.securityContext, name) not in (None, []):
                errs.append(field.forbidden(at.child("securityContext", name), detail))
    for here, container in _containers(at, spec):
        if container.securityContext is not None:
            for name in _CONTAINER_FIELDS:
                if getattr(container.securityContext, name) is not None:
                    errs.append(field.forbidden(here.child("securityContext", name), detail))


def _containers(at: Path, spec: PodSpec) -> Iterator[tuple[Path, Container]]:
    for kind in _KINDS:
        for position, container in enumerate(getattr(spec, kind)):
            yield at.child(kind).index(position), container
