"""Volumes whose content is an image.

In: a pod, the image volumes that one of its containers mounts. Out: ``Mounted`` for each: the image
as the runtime mounts it, or where it cannot, a read-only mount on the host. Called by sync/execute
and, at a pod's end, by worker. Rules: KEP-4639; the image is pulled as that of a container is, when
the sandbox is there, and every failure is the container's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from trireme.api.core import v1 as core
from trireme.kubelet import podspec
from trireme.kubelet.cri import model
from trireme.kubelet.cri.contract import Runtime, RuntimeFailure
from trireme.kubelet.host.contract import Host
from trireme.kubelet.images.pull import ImageFailure, ImageRequest, Images
from trireme.kubelet.volumes.plugin import Mounted
from trireme.machinery.errors import ApiError

FIELD = "image"  # of Volume
FOLDER = "volumes/kubernetes.io~image"
MOUNT = "ErrImageVolumeMount"


class ImageVolumes:
    """The image volumes of one node. ``root`` is the kubelet's."""

    def __init__(self, runtime: Runtime, host: Host, images: Images, root: str) -> None:
        self._runtime = runtime
        self._host = host
        self._images = images
        self._root = root

    async def mount(
        self,
        pod: core.Pod,
        container: core.Container,
        secrets: tuple[core.Secret, ...],
        sandbox: model.SandboxConfig,
        handler: Callable[[core.Pod], Awaitable[str]],
    ) -> dict[str, Mounted]:
        """By the volume's name. Raises ``ImageFailure``."""
        used = {item.name for item in container.volumeMounts}
        mounted = {}
        for volume in pod.spec.volumes:
            if volume.image is None or volume.name not in used:
                continue
            source = volume.image
            policy = source.pullPolicy or "IfNotPresent"
            image = await self._images.ensure(
                ImageRequest(pod, "", source.reference, policy, secrets, sandbox)
            )
            if await self._runtime.mounts_images():
                try:
                    runtime_handler = await handler(pod)
                except (ApiError, ValueError) as problem:
                    raise ImageFailure(MOUNT, str(problem)) from problem
                spec = model.ImageSpec(
                    image=image.id,
                    user_specified_image=source.reference,
                    runtime_handler=runtime_handler,
                    annotations=dict(pod.metadata.annotations),
                )
                mounted[volume.name] = Mounted("", read_only=True, image=spec)
            else:
                path = await self._mount_here(pod.metadata.uid, volume, image.id)
                mounted[volume.name] = Mounted(path, read_only=True)
        return mounted

    async def release(self, uid: str) -> None:
        """Unmount and give up all that the pod has. Raises ``RuntimeFailure``, OSError."""
        pod = podspec.directory(self._root, uid)
        for name in self._host.list(f"{pod}/{FOLDER}"):
            path = f"{pod}/{FOLDER}/{name}"
            for parts in (f"{pod}/volume-subpaths/{name}", path):
                for point in self._host.mounts_below(parts):
                    self._host.unmount(point)
            await self._runtime.remove_view(_key(uid, name))
            await self._host.remove_tree(path)

    async def _mount_here(self, uid: str, volume: core.Volume, image_id: str) -> str:
        path = f"{podspec.directory(self._root, uid)}/{FOLDER}/{volume.name}"
        if self._host.is_mounted(path):
            return path
        # The folder comes first: it says that there may be a view.
        self._host.make_dirs(path, 0o755)
        try:
            (found,) = await self._runtime.view_image(_key(uid, volume.name), image_id)
            kind = "" if found.kind == "bind" else found.kind
            options = [*(o for o in found.options if o not in ("ro", "rw")), "ro"]
            await self._host.mount(found.source, path, kind, options)
        except (RuntimeFailure, ValueError, OSError) as failure:
            message = f"failed to mount the image of volume {volume.name}: {failure}"
            raise ImageFailure(MOUNT, message) from failure
        return path


def _key(uid: str, name: str) -> str:
    return f"trireme-image-volume-{uid}-{name}"
