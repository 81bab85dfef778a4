"""The checks of the Pod Security Standards: each says what it forbids of a pod. Pure.

In: the metadata and spec of a pod or of a template. Out: a ``Violation``, or None. ``CHECKS`` says
of each its level, since which version it holds in which form, and what it takes the place of.
https://kubernetes.io/docs/concepts/security/pod-security-standards/; upstream:
pod-security-admission ``policy``. The texts are upstream's: clients and tests compare them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from trireme.api.core.v1.pod.spec import PodSpec
from trireme.apiserver.admission.pod_security.levels import BASELINE, RESTRICTED
from trireme.machinery import gotext
from trireme.machinery.meta import ObjectMeta


class Violation(NamedTuple):
    reason: str
    detail: str


Check = Callable[[ObjectMeta, PodSpec], Violation | None]


def _containers(spec: PodSpec) -> Iterator[Any]:
    yield from spec.initContainers
    yield from spec.containers
    yield from spec.ephemeralContainers


def _contexts(spec: PodSpec) -> Iterator[tuple[str, Any]]:
    """The name and the security context of each container that has one."""
    for container in _containers(spec):
        if container.securityContext is not None:
            yield container.name, container.securityContext


def _quoted(items: Iterable[str]) -> str:
    return ", ".join(f'"{item}"' for item in items)


def _plural(singular: str, items: list[str] | set[str]) -> str:
    return singular if len(items) == 1 else f"{singular}s"


def _named(names: list[str], noun: str = "container") -> str:
    """``containers "a", "b"``."""
    return f"{_plural(noun, names)} {_quoted(names)}"


def _setters(pod: bool, names: list[str]) -> str:
    """``pod and container "a"``: who sets what is forbidden; "" where nobody does."""
    return " and ".join(["pod"] * pod + ([_named(names)] if names else []))


def _is_windows(spec: PodSpec) -> bool:
    return spec.os is not None and spec.os.name == "windows"


def _in_user_namespace(spec: PodSpec) -> bool:
    return spec.hostUsers is False


def _unless(exempt: Callable[[PodSpec], bool], check: Check) -> Check:
    return lambda meta, spec: None if exempt(spec) else check(meta, spec)


# Baseline.


def _app_armor(meta: ObjectMeta, spec: PodSpec) -> Violation | None:
    allowed = ("RuntimeDefault", "Localhost")
    values: set[str] = set()
    setters: list[str] = []
    own = spec.securityContext and spec.securityContext.appArmorProfile
    if own and own.type not in allowed:
        setters.append("pod")
        values.add(own.type)
    names: list[str] = []
    for name, context in _contexts(spec):
        profile = context.appArmorProfile
        if profile is not None and profile.type not in allowed:
            names.append(name)
            values.add(profile.type)
    if names:
        setters.append(_named(names))
    annotations = sorted(
        f"{key}={gotext.quote(value)}"
        for key, value in meta.annotations.items()
        if key.startswith("container.apparmor.security.beta.kubernetes.io/")
        and value not in ("", "runtime/default")
        and not value.startswith("localhost/")
    )
    bad = sorted(values) + annotations
    if annotations:
        setters.append(_plural("annotation", annotations))
    if not setters:
        return None
    return Violation(
        _plural("forbidden AppArmor profile", bad),
        f"{' and '.join(setters)} must not set AppArmor profile type to {_quoted(bad)}",
    )


_CAPABILITIES: Final = frozenset(
    ("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
     "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT")
)  # fmt: skip


def _default_capabilities(_meta: ObjectMeta, spec: PodSpec) -> Violation | None:
    names: list[str] = []
    found: set[str] = set()
    for name, context in _contexts(spec):
        added = set(context.capabilities.add) - _CAPABILITIES if context.capabilities else set()
        if added:
            names.append(name)
            found |= added
    if not names:
        return None
    detail = f"{_named(names)} must not include {_quoted(sorted(found))} in "
    return Violation("non-default capabilities", f"{detail}securityContext.capabilities.add")


def _host_namespaces(_meta: ObjectMeta, spec: PodSpec) -> Violation | None:
    found = [
        f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if getattr(spec, name)
    ]
    return Violation("host namespaces", ", ".join(found)) if found else None


def _host_paths(_meta: ObjectMeta, spec: PodSpec) -> Violation | None:
    names = [volume.name for volume in spec.volumes if volume.hostPath is not None]
    return Violation("hostPath volumes", _named(names, "volume")) if names else None


def _host_ports(_meta: ObjectMeta, spec: PodSpec) -> Violation | None:
    names: list[str] = []
    found: set[str] = set()
    for container in _containers(spec):
        ports = {str(port.hostPort) for port in container.ports if port.hostPort}
        if ports:
            names.append(container.name)
            found |= ports
    if not names:
        return None
    use = "uses" if len(names) == 1 else "use"
    ports_text = f"{_plural('hostPort', found)} {', '.join(sorted(found))}"
    return Violation("hostPort", f"{_named(names)} {use} {ports_text}")


def _host_probes(_meta: ObjectMeta, spec: PodSpec) -> Violation | None:
    names: set[str] = set()
    found: set[str] = set()
    for container in _containers(spec):
        handlers = [container.livenessProbe, container.readinessProbe, container.startupProbe]
        if container.lifecycle is not None:
            handlers += [container.lifecycle.postStart, container.lifecycle.preStop]
        for handler in handlers:
            actions = () if handler is None else (handler.httpGet, handler.tcpSocket)
            hosts = {action.host for action in actions if action is not None and action.host}
            if hosts:
                names.add(container.name)
                found |= hosts
    if not names:
        return None
    use = "uses" if len(names) == 1 else "use"
    what = f"{_plural('probe or lifecycle host', found)} {_quoted(sorted(found))}"
    return Violation("probe or lifecycle host", f"{_named(sorted(names))} {use} {what}")


def _privileged(_meta: ObjectMeta, spec: PodSpec) -> Violation | None:
    names = [name for name, context in _contexts(spec) if context.privileged]
    if not names:
        return None
    return Violation("privileged", f"{_named(names)} must not set securityContext.privileged=true")


def _proc_mount(_meta: ObjectMeta, spec: PodSpec) -> Violation | None:
    bad = [
        (name, context.procMount)
        for name, context in _contexts(spec)
        if context.procMount not in (None, "Default")
    ]
    if not bad:
        return None
    values = _quoted(sorted({value for _, value in bad}))
    names = _named([name for name, _ in bad])
    return Violation("procMount", f"{names} must not set securityContext.procMount to {values}")


def _se_linux(*more: str) -> Check:
    allowed = ("", "container_t", "container_init_t", "container_kvm_t", *more)

    def check(_meta: ObjectMeta, spec: PodSpec) -> Violation | None:
        def is_bad(context: Any) -> bool:
            options = context and context.seLinuxOptions
            if not options:
                return False
            bad = options.type not in allowed or bool(options.user) or bool(options.role)
            if bad:
                found.append(options)
            return bad

        found: list[Any] = []
        pod = is_bad(spec.securityContext)
        names = [name for name, context in _contexts(spec) if is_bad(context)]
        if not found:
            return None
        types = {options.type for options in found if options.type not in allowed}
        bad = [f"{_plural('type', types)} {_quoted(sorted(types))}"] if types else []
        bad += ["user may not be set"] * any(options.user for options in found)
        bad += ["role may not be set"] * any(options.role for options in found)
        text = f"set forbidden securityContext.seLinuxOptions: {'; '.join(bad)}"
        return Violation("seLinuxOptions", f"{_setters(pod, names)} {text}")

    return check


_SECCOMP: Final = ("Localhost", "RuntimeDefault")
_SECCOMP_POD: Final = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER: Final = "container.seccomp.security.alpha.kubernetes.io/"


def _seccomp_annotations(meta: ObjectMeta, spec: PodSpec) -> Violation | None:
    keys = [_SECCOMP_POD, *(_SECCOMP_CONTAINER + item.name for item in _containers(spec))]
    found = {
        f"{key}={gotext.quote(value)}"
        for key in keys
        if (value := meta.annotations.get(key)) is not None
        and value not in ("runtime/default", "docker/default")
        and not value.startswith("localhost/")
    }
    if not found:
        return None
    text = f"forbidden {_plural('annotation', found)} {', '.join(sorted(found))}"
    return Violation("seccompProfile", text)


def _seccomp_set(spec: PodSpec) -> Violation | None:
    """Where a profile is set, it confines."""
    own = spec.securityContext and spec.securityContext.seccompProfile
    pod = bool(own and own.type not in _SECCOMP)
    bad = {own.type} if own and pod else set()
    names: list[str] = []
    for name, context in _contexts(spec):
        profile = context.seccompProfile
        if profile is not None and profile.type not in _SECCOMP:
            names.append(name)
            bad.add(profile.type)
    if not bad:
        return None
    text = f"must not set securityContext.seccompProfile.type to {_quoted(sorted(bad))}"
    return Violation("seccompProfile", f"{_setters(pod, names)} {text}")


def _seccomp_baseline(_meta: ObjectMeta, spec: PodSpec) -> Violation | None:
    return _seccomp_set(spec)


def _sysctls(*allowed: str) -> Check:
    def check(_meta: ObjectMeta, spec: PodSpec) -> Violation | None:
        given = spec.securityContext.sysctls if spec.securityContext is not None else []
        found = [item.name for item in given if item.name not in allowed]
        return Violation("forbidden sysctls", ", ".join(found)) if found else None

    return check


_SYSCTLS_1_0: Final = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
)
_SYSCTLS_1_27: Final = (*_SYSCTLS_1_0, "net.ipv4.ip_local_reserved_ports")
_SYSCTLS_1_29: Final = (
    *_SYSCTLS_1_27,
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
)
_SYSCTLS_1_32: Final = (*_SYSCTLS_1_29, "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem")


def _host_process(_meta: ObjectMeta, spec: PodSpec) -> Violation | None:
    def is_bad(context: Any) -> bool:
        return bool(context and context.windowsOptions and context.windowsOptions.hostProcess)

    setters = _setters(
        is_bad(spec.securityContext),
        [name for name, context in _contexts(spec) if is_bad(context)],
    )
    if not setters:
        return None
    text = "must not set securityContext.windowsOptions.hostProcess=true"
    return Violation("hostProcess", f"{setters} {text}")


# Restricted.


def _privilege_escalation(_meta: ObjectMeta, spec: PodSpec) -> Violation | None:
    names = [
        item.name
        for item in _containers(spec)
        if item.securityContext is None
        or item.securityContext.allowPrivilegeEscalation is not False
    ]
    if not names:
        return None
    text = "must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", f"{_named(names)} {text}")


def _no_capabilities(_meta: ObjectMeta, spec: PodSpec) -> Violation | None:
    keeping: list[str] = []
    adding: list[str] = []
    found: set[str] = set()
    for container in _containers(spec):
        context = container.securityContext
        given = context.capabilities if context is not None else None
        if given is None or "ALL" not in given.drop:
            keeping.append(container.name)
        added = set(given.add) - {"NET_BIND_SERVICE"} if given is not None else set()
        if added:
            adding.append(container.name)
            found |= added
    details: list[str] = []
    if keeping:
        text = 'must set securityContext.capabilities.drop=["ALL"]'
        details.append(f"{_named(keeping)} {text}")
    if adding:
        text = f"must not include {_quoted(sorted(found))} in securityContext.capabilities.add"
        details.append(f"{_named(adding)} {text}")
    return Violation("unrestricted capabilities", "; ".join(details)) if details else None


_VOLUMES: Final = frozenset(
    ("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image",
     "persistentVolumeClaim", "projected", "secret")
)  # fmt: skip


def _volumes(_meta: ObjectMeta, spec: PodSpec) -> Violation | None:
    names: list[str] = []
    found: set[str] = set()
    for volume in spec.volumes:
        sources = [
            name
            for name in volume.__struct_fields__
            if name != "name" and getattr(volume, name) is not None
        ]
        if not _VOLUMES.intersection(sources):
            names.append(volume.name)
            found.add(sources[0] if sources else "unknown")
    if not names:
        return None
    use = "uses" if len(names) == 1 else "use"
    what = f"{_plural('restricted volume type', found)} {_quoted(sorted(found))}"
    return Violation("restricted volume types", f"{_named(names, 'volume')} {use} {what}")


def _non_root(_meta: ObjectMeta, spec: PodSpec) -> Violation | None:
    own = spec.securityContext.runAsNonRoot if spec.securityContext is not None else None
    explicit: list[str] = []
    implicit: list[str] = []
    for container in _containers(spec):
        context = container.securityContext
        given = context.runAsNonRoot if context is not None else None
        if given is False:
            explicit.append(container.name)
        elif given is None and not own:
            implicit.append(container.name)
    reason = "runAsNonRoot != true"
    setters = _setters(own is False, explicit)
    if setters:
        return Violation(reason, f"{setters} must not set securityContext.runAsNonRoot=false")
    if implicit:
        text = "must set securityContext.runAsNonRoot=true"
        return Violation(reason, f"pod or {_named(implicit)} {text}")
    return None


def _run_as_user(_meta: ObjectMeta, spec: PodSpec) -> Violation | None:
    setters = _setters(
        spec.securityContext is not None and spec.securityContext.runAsUser == 0,
        [name for name, context in _contexts(spec) if context.runAsUser == 0],
    )
    return Violation("runAsUser=0", f"{setters} must not set runAsUser=0") if setters else None


def _seccomp_restricted(_meta: ObjectMeta, spec: PodSpec) -> Violation | None:
    bad = _seccomp_set(spec)
    if bad is not None:
        return bad
    if spec.securityContext is not None and spec.securityContext.seccompProfile is not None:
        return None
    names = [
        item.name
        for item in _containers(spec)
        if item.securityContext is None or item.securityContext.seccompProfile is None
    ]
    if not names:
        return None
    text = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Violation("seccompProfile", f"pod or {_named(names)} {text}")


class Entry(NamedTuple):
    """A check: its forms by the minor version since which each holds, and the baseline checks that
    a restricted one takes the place of."""

    level: str
    forms: Mapping[int, Check]
    overrides: tuple[str, ...] = ()


# In the order of the results within a level.
CHECKS: Final[Mapping[str, Entry]] = {
    "appArmorProfile": Entry(BASELINE, {0: _app_armor}),
    "capabilities_baseline": Entry(BASELINE, {0: _default_capabilities}),
    "hostNamespaces": Entry(BASELINE, {0: _host_namespaces}),
    "hostPathVolumes": Entry(BASELINE, {0: _host_paths}),
    "hostPorts": Entry(BASELINE, {0: _host_ports}),
    "hostProbesAndHostLifecycle": Entry(BASELINE, {34: _host_probes}),
    "privileged": Entry(BASELINE, {0: _privileged}),
    "procMount": Entry(BASELINE, {0: _proc_mount, 35: _unless(_in_user_namespace, _proc_mount)}),
    "seLinuxOptions": Entry(BASELINE, {0: _se_linux(), 31: _se_linux("container_engine_t")}),
    "seccompProfile_baseline": Entry(BASELINE, {0: _seccomp_annotations, 19: _seccomp_baseline}),
    "sysctls": Entry(
        BASELINE,
        {
            0: _sysctls(*_SYSCTLS_1_0),
            27: _sysctls(*_SYSCTLS_1_27),
            29: _sysctls(*_SYSCTLS_1_29),
            32: _sysctls(*_SYSCTLS_1_32),
        },
    ),
    "windowsHostProcess": Entry(BASELINE, {0: _host_process}),
    "allowPrivilegeEscalation": Entry(
        RESTRICTED, {8: _privilege_escalation, 25: _unless(_is_windows, _privilege_escalation)}
    ),
    "capabilities_restricted": Entry(
        RESTRICTED,
        {22: _no_capabilities, 25: _unless(_is_windows, _no_capabilities)},
        ("capabilities_baseline",),
    ),
    # Pods in user namespaces may have what baseline lets them have, not what is restricted.
    "procMount_restricted": Entry(RESTRICTED, {35: _proc_mount}, ("procMount",)),
    "restrictedVolumes": Entry(RESTRICTED, {0: _volumes}, ("hostPathVolumes",)),
    "runAsNonRoot": Entry(RESTRICTED, {0: _non_root, 35: _unless(_in_user_namespace, _non_root)}),
    "runAsUser": Entry(
        RESTRICTED, {23: _run_as_user, 35: _unless(_in_user_namespace, _run_as_user)}
    ),
    "seccompProfile_restricted": Entry(
        RESTRICTED,
        {19: _seccomp_restricted, 25: _unless(_is_windows, _seccomp_restricted)},
        ("seccompProfile_baseline",),
    ),
}
