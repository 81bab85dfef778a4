"""Give a volume to the pod's supplementary group (``securityContext.fsGroup``).

In: a directory below a root, and the pod's security context. Out: changed groups and modes; links
are changed themselves and never followed. Called by volume plugins after mounting. Rules:
tasks/configure-pod-container/security-context; KEP-695 (fsGroupChangePolicy).
"""

from __future__ import annotations

from trireme.api.core import v1 as core
from trireme.kubelet.host.contract import FileInfo, Host, Root

SETGID = 0o2000


async def give(host: Host, path: str, pod: core.Pod) -> None:
    """``apply`` to what is mounted on ``path``, which may be large: away from the event loop."""
    if not group_set(pod):
        return

    def change() -> None:
        with host.open_root(path) as root:
            apply(root, "", pod)

    await host.away(change)


def apply(root: Root, path: str, pod: core.Pod, *, read_only: bool = False) -> None:
    """Nothing without an fsGroup; nothing either when ``OnRootMismatch`` finds ``path`` right."""
    context = pod.spec.securityContext
    if context is None or context.fsGroup is None:
        return
    found = root.info(path)
    if found is None:
        return
    gid = context.fsGroup
    if context.fsGroupChangePolicy == "OnRootMismatch" and _right(found, gid, read_only):
        return
    left = [(path, found)]
    while left:
        at, found = left.pop()
        root.chown(at, -1, gid)
        if found.kind == "link":
            continue
        root.chmod(at, found.mode | _mask(found, read_only))
        if found.kind == "dir":
            for name in root.list(at):
                child = f"{at}/{name}" if at else name
                info = root.info(child)
                if info is not None:
                    left.append((child, info))


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


def _mask(info: FileInfo, read_only: bool) -> int:
    mask = 0o440 if read_only else 0o660
    return mask | SETGID | 0o110 if info.kind == "dir" else mask


def _right(info: FileInfo, gid: int, read_only: bool) -> bool:
    mask = _mask(info, read_only)
    return info.gid == gid and info.mode & mask == mask
