"""Give a volume to the pod's supplementary group (``securityContext.fsGroup``).

In: a directory and the pod's security context. Out: changed groups and modes. Called by volume
plugins after mounting. Rules: tasks/configure-pod-container/security-context; KEP-695
(fsGroupChangePolicy).
"""

from __future__ import annotations

from trireme.api.core import v1 as core
from trireme.kubelet.host.contract import FileInfo, Host

SETGID = 0o2000


def apply(host: Host, root: str, pod: core.Pod, *, read_only: bool = False) -> None:
    """Nothing without an fsGroup; nothing either when ``OnRootMismatch`` finds the root right."""
    context = pod.spec.securityContext
    if context is None or context.fsGroup is None:
        return
    info = host.info(root)
    if info is None:
        return
    if context.fsGroupChangePolicy == "OnRootMismatch" and _right(info, context.fsGroup, read_only):
        return
    _walk(host, root, info, context.fsGroup, read_only)


def group_set(pod: core.Pod) -> bool:
    return pod.spec.securityContext is not None and pod.spec.securityContext.fsGroup is not None


def single_user(pod: core.Pod) -> int | None:
    """The user that every container runs as, when all say the same one."""
    of_pod = pod.spec.securityContext.runAsUser if pod.spec.securityContext else None
    users = {
        (
            c.securityContext.runAsUser
            if c.securityContext is not None and c.securityContext.runAsUser is not None
            else of_pod
        )
        for c in (*pod.spec.initContainers, *pod.spec.containers)
    }
    return users.pop() if len(users) == 1 else None


def _walk(host: Host, path: str, info: FileInfo, gid: int, read_only: bool) -> None:
    host.chown(path, -1, gid)
    if info.kind == "link":
        return
    host.chmod(path, info.mode | _mask(info, read_only))
    if info.kind == "dir":
        for name in host.list(path):
            child = host.info(f"{path}/{name}", follow=False)
            if child is not None:
                _walk(host, f"{path}/{name}", child, gid, read_only)


def _mask(info: FileInfo, read_only: bool) -> int:
    mask = 0o440 if read_only else 0o660
    return mask | SETGID | 0o110 if info.kind == "dir" else mask


def _right(info: FileInfo, gid: int, read_only: bool) -> bool:
    mask = _mask(info, read_only)
    return info.gid == gid and info.mode & mask == mask
