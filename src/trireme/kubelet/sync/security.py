"""CRI security contexts. Pure.

In: the pod's and container's security contexts, the image's user. Out: CRI security contexts.
Called by sync/compute. Rules: tasks/configure-pod-container/security-context. A container's own
setting wins over the pod's.
"""

from __future__ import annotations

from typing import TypeVar

from trireme.api.core import v1 as core
from trireme.kubelet import podspec
from trireme.kubelet.cri import model
from trireme.kubelet.cri.model import NamespaceMode, ProfileType

T = TypeVar("T")

MASKED = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
]
MAX_USER_ID = 2**31 - 1
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


class NotAllowed(ValueError):
    """The image's user breaks ``runAsNonRoot``."""


def namespaces(pod: core.Pod, target_id: str = "") -> model.NamespaceOption:
    """``target_id``: the container whose processes an ephemeral container sees."""
    if pod.spec.hostPID:
        pid = NamespaceMode.NODE
    elif target_id:
        pid = NamespaceMode.TARGET
    elif pod.spec.shareProcessNamespace:
        pid = NamespaceMode.POD
    else:
        pid = NamespaceMode.CONTAINER
    return model.NamespaceOption(
        network=NamespaceMode.NODE if podspec.is_host_network(pod) else NamespaceMode.POD,
        ipc=NamespaceMode.NODE if pod.spec.hostIPC else NamespaceMode.POD,
        pid=pid,
        target_id=target_id,
    )


def of_sandbox(pod: core.Pod) -> model.SandboxSecurityContext:
    own = pod.spec.securityContext or core.PodSecurityContext()
    return model.SandboxSecurityContext(
        namespace_options=namespaces(pod),
        selinux_options=_selinux(own.seLinuxOptions),
        run_as_user=own.runAsUser,
        run_as_group=own.runAsGroup,
        supplemental_groups=_groups(own),
        supplemental_groups_policy=int(own.supplementalGroupsPolicy == "Strict"),
        privileged=any(_privileged(container) for _, container in podspec.containers(pod)),
        seccomp=model.SecurityProfile(profile_type=ProfileType.RUNTIME_DEFAULT),
    )


def of_container(
    pod: core.Pod,
    container: core.Container,
    image_uid: int | None,
    image_user: str,
    seccomp_root: str,
    target_id: str = "",
) -> model.ContainerSecurityContext:
    """``image_uid`` or ``image_user``: the image's user; neither means root.

    ``seccomp_root``: the folder of the node's own profiles. Raises ``NotAllowed``.
    """
    if image_uid is None and not image_user:
        image_uid = 0
    of_pod = pod.spec.securityContext or core.PodSecurityContext()
    own = container.securityContext or core.SecurityContext()
    user = _first(own.runAsUser, of_pod.runAsUser)
    _check_non_root(
        pod, container, _first(own.runAsNonRoot, of_pod.runAsNonRoot), user, image_uid, image_user
    )
    unmasked = own.procMount == "Unmasked"
    result = model.ContainerSecurityContext(
        privileged=bool(own.privileged),
        namespace_options=namespaces(pod, target_id),
        selinux_options=_selinux(own.seLinuxOptions or of_pod.seLinuxOptions),
        run_as_user=user,
        run_as_group=_first(own.runAsGroup, of_pod.runAsGroup),
        readonly_rootfs=bool(own.readOnlyRootFilesystem),
        supplemental_groups=_groups(of_pod),
        supplemental_groups_policy=int(of_pod.supplementalGroupsPolicy == "Strict"),
        no_new_privs=own.allowPrivilegeEscalation is False,
        masked_paths=[] if unmasked else MASKED,
        readonly_paths=[] if unmasked else READ_ONLY,
        seccomp=_seccomp(own.seccompProfile or of_pod.seccompProfile, seccomp_root),
        apparmor=_apparmor(own.appArmorProfile or of_pod.appArmorProfile),
    )
    if own.capabilities is not None:
        result.capabilities = model.Capability(
            add_capabilities=list(own.capabilities.add),
            drop_capabilities=list(own.capabilities.drop),
        )
    if user is None:
        # The number wins: a runtime may say both.
        result.run_as_user = image_uid
        result.run_as_username = image_user if image_uid is None else ""
    return result


def _check_non_root(
    pod: core.Pod,
    container: core.Container,
    required: bool | None,
    user: int | None,
    image_uid: int | None,
    image_user: str,
) -> None:
    if not required:
        return
    where = f'(pod: "{podspec.full_name(pod)}", container: {container.name})'
    if user is not None:
        if user == 0:
            raise NotAllowed(f"container's runAsUser breaks non-root policy {where}")
    elif image_uid is None:
        raise NotAllowed(
            f"container has runAsNonRoot and image has non-numeric user "
            f"({image_user}), cannot verify user is non-root {where}"
        )
    elif image_uid == 0:
        raise NotAllowed(f"container has runAsNonRoot and image will run as root {where}")
    elif not 0 < image_uid <= MAX_USER_ID:
        raise NotAllowed(
            f"container has runAsNonRoot and image has an invalid user id ({image_uid}). "
            f"(Must be 1-({MAX_USER_ID})): must be between 0 and {MAX_USER_ID}, inclusive {where}"
        )


def _privileged(container: core.Container) -> bool:
    return container.securityContext is not None and bool(container.securityContext.privileged)


def _groups(context: core.PodSecurityContext) -> list[int]:
    own = [] if context.fsGroup is None else [context.fsGroup]
    return own + list(context.supplementalGroups)


def _seccomp(profile: core.SeccompProfile | None, root: str) -> model.SecurityProfile:
    if profile is None:
        return model.SecurityProfile(profile_type=ProfileType.UNCONFINED)
    local = f"{root}/{profile.localhostProfile}" if profile.localhostProfile else ""
    return _profile(profile.type, local)


def _apparmor(profile: core.AppArmorProfile | None) -> model.SecurityProfile | None:
    return _profile(profile.type, profile.localhostProfile) if profile is not None else None


def _profile(kind: str, localhost: str | None) -> model.SecurityProfile:
    kinds = {
        "RuntimeDefault": ProfileType.RUNTIME_DEFAULT,
        "Unconfined": ProfileType.UNCONFINED,
        "Localhost": ProfileType.LOCALHOST,
    }
    return model.SecurityProfile(profile_type=kinds[kind], localhost_ref=localhost or "")


def _selinux(options: core.SELinuxOptions | None) -> model.SELinuxOption | None:
    if options is None:
        return None
    return model.SELinuxOption(
        user=options.user, role=options.role, type=options.type, level=options.level
    )


def _first(one: T | None, other: T | None) -> T | None:
    return other if one is None else one
