"""The sandbox and container configurations for the runtime. Pure.

In: a pod, one of its containers, and resolved inputs. Out: ``SandboxConfig`` and
``ContainerConfig``. Called by sync/create. Rules: CRI v1; reference "QoS, OOM, cgroups".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from trireme.api.core import v1 as core
from trireme.kubelet import labels, podresources, podspec
from trireme.kubelet.cri import model
from trireme.kubelet.cri.model import PortProtocol, Propagation
from trireme.kubelet.env import expand
from trireme.kubelet.network import hosts
from trireme.kubelet.sync import security

_PROPAGATION = {
    None: Propagation.PRIVATE,
    "None": Propagation.PRIVATE,
    "HostToContainer": Propagation.HOST_TO_CONTAINER,
    "Bidirectional": Propagation.BIDIRECTIONAL,
}
# CRI's numbers of signals: indexes into this list.
_SIGNALS = [
    "RUNTIME_DEFAULT",
    *(
        f"SIG{name}"
        for name in (
            "ABRT",
            "ALRM",
            "BUS",
            "CHLD",
            "CLD",
            "CONT",
            "FPE",
            "HUP",
            "ILL",
            "INT",
            "IO",
            "IOT",
            "KILL",
            "PIPE",
            "POLL",
            "PROF",
            "PWR",
            "QUIT",
            "SEGV",
            "STKFLT",
            "STOP",
            "SYS",
            "TERM",
            "TRAP",
            "TSTP",
            "TTIN",
            "TTOU",
            "URG",
            "USR1",
            "USR2",
            "VTALRM",
            "WINCH",
            "XCPU",
            "XFSZ",
            "RTMIN",
        )
    ),
]
_SIGNALS += [f"SIGRTMIN+{n}" for n in range(1, 16)]
_SIGNALS += [f"SIGRTMAX-{n}" for n in range(14, 0, -1)] + ["SIGRTMAX"]


class SandboxInputs(msgspec.Struct, frozen=True, kw_only=True):
    pod: core.Pod
    attempt: int
    log_directory: str
    cgroup_parent: str
    cluster_domain: str
    dns: model.DNSConfig
    cgroup_v2: bool = False


class ContainerInputs(msgspec.Struct, frozen=True, kw_only=True):
    """``mounts`` have absolute host paths; ``environment`` is in order."""

    pod: core.Pod
    container: core.Container
    restart_count: int
    image: str
    image_uid: int | None
    image_user: str
    environment: Mapping[str, str]
    mounts: Sequence[model.Mount]
    devices: Sequence[model.Device] = ()
    memory_capacity: int
    seccomp_root: str = "/var/lib/kubelet/seccomp"
    cgroup_v2: bool = False
    target_id: str = ""


def sandbox(inputs: SandboxInputs) -> model.SandboxConfig:
    """Raises ValueError for an invalid host name."""
    pod = inputs.pod
    hostname = ""
    if not podspec.is_host_network(pod):
        hostname = hosts.node_name_of_pod(pod, inputs.cluster_domain)
    context = pod.spec.securityContext
    # runc knows only the dotted form of a sysctl's name.
    sysctls = {s.name.replace("/", "."): s.value for s in context.sysctls} if context else {}
    linux = model.LinuxSandboxConfig(
        cgroup_parent=inputs.cgroup_parent,
        security_context=security.of_sandbox(pod),
        sysctls=sysctls,
        overhead=_overhead(pod),
        resources=_pod_resources(pod),
    )
    return model.SandboxConfig(
        metadata=model.SandboxMetadata(
            name=pod.metadata.name,
            uid=pod.metadata.uid,
            namespace=pod.metadata.namespace,
            attempt=inputs.attempt,
        ),
        hostname=hostname,
        log_directory=inputs.log_directory,
        dns_config=inputs.dns,
        port_mappings=_port_mappings(pod),
        labels=labels.of_sandbox(pod),
        annotations=dict(pod.metadata.annotations),
        linux=linux,
    )


def container(inputs: ContainerInputs) -> model.ContainerConfig:
    """Raises ``security.NotAllowed``."""
    spec = inputs.container
    context = security.of_container(
        inputs.pod, spec, inputs.image_uid, inputs.image_user, inputs.seccomp_root, inputs.target_id
    )
    return model.ContainerConfig(
        metadata=model.ContainerMetadata(name=spec.name, attempt=inputs.restart_count),
        image=model.ImageSpec(image=inputs.image, user_specified_image=spec.image),
        command=[expand.expand(word, inputs.environment) for word in spec.command],
        args=[expand.expand(word, inputs.environment) for word in spec.args],
        working_dir=spec.workingDir,
        envs=[
            model.KeyValue(key=name, value=value.encode("utf-8", "surrogateescape"))
            for name, value in inputs.environment.items()
        ],
        mounts=list(inputs.mounts),
        devices=list(inputs.devices),
        labels=labels.of_container(inputs.pod, spec),
        annotations=labels.container_annotations(inputs.pod, spec, inputs.restart_count),
        log_path=f"{spec.name}/{inputs.restart_count}.log",
        stdin=spec.stdin,
        stdin_once=spec.stdinOnce,
        tty=spec.tty,
        linux=model.LinuxContainerConfig(
            resources=resources(inputs.pod, spec, inputs.memory_capacity, inputs.cgroup_v2),
            security_context=context,
        ),
        stop_signal=_stop_signal(spec),
    )


def resources(
    pod: core.Pod, spec: core.Container, memory_capacity: int, cgroup_v2: bool
) -> model.LinuxResources:
    requests, limits = spec.resources.requests, podresources.container_limits(pod, spec)
    cpu = podresources.value(requests, "cpu")
    if "cpu" not in requests:
        cpu = podresources.value(limits, "cpu")
    hugepages = [
        model.HugepageLimit(
            page_size=name.removeprefix("hugepages-").removesuffix("i") + "B",
            limit=podresources.value(limits, name),
        )
        for name in limits
        if name.startswith("hugepages-")
    ]
    return model.LinuxResources(
        cpu_period=podresources.CPU_PERIOD,
        cpu_quota=podresources.cpu_quota(podresources.value(limits, "cpu")),
        cpu_shares=podresources.cpu_shares(cpu),
        memory_limit_in_bytes=podresources.value(limits, "memory"),
        oom_score_adj=podresources.oom_score_adj(pod, spec, memory_capacity),
        hugepage_limits=hugepages,
        unified={"memory.oom.group": "1"} if cgroup_v2 else {},
    )


def mount(
    of: core.VolumeMount,
    host_path: str,
    *,
    read_only: bool = False,
    recursive_read_only: bool,
    image: model.ImageSpec | None = None,
    image_sub_path: str = "",
) -> model.Mount:
    """``read_only``: whatever the volumeMount says. ``recursive_read_only``: whether the runtime
    can; ValueError: it must and cannot."""
    strict = False
    if of.recursiveReadOnly in ("Enabled", "IfPossible") and of.readOnly:
        strict = recursive_read_only
        if of.recursiveReadOnly == "Enabled" and not strict:
            raise ValueError(
                f'volume "{of.name}" requested recursive read-only mode, but it is '
                "not supported by the runtime"
            )
    path = of.mountPath if of.mountPath.startswith("/") else f"/{of.mountPath}"
    return model.Mount(
        container_path=path,
        host_path=host_path,
        readonly=of.readOnly or read_only,
        propagation=_PROPAGATION[of.mountPropagation],
        recursive_read_only=strict,
        image=image,
        image_sub_path=image_sub_path,
    )


def _port_mappings(pod: core.Pod) -> list[model.PortMapping]:
    if podspec.is_host_network(pod):
        return []
    return [
        model.PortMapping(
            protocol=PortProtocol[port.protocol or "TCP"],
            container_port=port.containerPort,
            host_port=port.hostPort,
            host_ip=port.hostIP,
        )
        for container in (*pod.spec.initContainers, *pod.spec.containers)
        for port in container.ports
        if port.hostPort and (container in pod.spec.containers or podspec.is_sidecar(container))
    ]


def _overhead(pod: core.Pod) -> model.LinuxResources:
    return model.LinuxResources(
        cpu_shares=podresources.cpu_shares(podresources.value(pod.spec.overhead, "cpu"))
        if pod.spec.overhead
        else 0,
        memory_limit_in_bytes=podresources.value(pod.spec.overhead, "memory"),
    )


def _pod_resources(pod: core.Pod) -> model.LinuxResources:
    requests, limits = podresources.pod_requests(pod), podresources.pod_limits(pod)
    return model.LinuxResources(
        cpu_period=podresources.CPU_PERIOD,
        cpu_shares=podresources.cpu_shares(requests.get("cpu", 0)),
        cpu_quota=podresources.cpu_quota(limits.get("cpu", 0))
        if podresources.all_declare(pod, "cpu")
        else 0,
        memory_limit_in_bytes=(
            limits.get("memory", 0) if podresources.all_declare(pod, "memory") else 0
        ),
    )


def _stop_signal(spec: core.Container) -> int:
    signal_name = spec.lifecycle.stopSignal if spec.lifecycle is not None else None
    return _SIGNALS.index(signal_name) if signal_name else 0
