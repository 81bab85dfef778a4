"""An archive into the nodes' containerds, and the list of what they have.

In: an archive's path and the nodes' sockets.  Out: images that the kubelets find when they ask,
unpacked, so that a first container starts at once.  Called by `cluster.up` and `trireme image`.

By containerd's own `ctr`, which is installed wherever containerd is; about 0.1 s for the bundled
images on one node.  The nodes work side by side.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from trireme.cluster.images import archive
from trireme.cluster.user_error import UserError

NAMESPACE = "k8s.io"
"""The containerd namespace of CRI."""
_MANAGED = "io.cri-containerd.image=managed"
_LOOKS = 250
_POLL = 0.01


class NodeImage(msgspec.Struct, frozen=True):
    name: str
    digest: str
    size: str
    """As containerd prints it, such as `2.0 MiB`."""
    managed: bool
    """Whether CRI knows of it yet."""


class LoadFailed(UserError):
    """A node did not take the archive; the message says which and why."""


async def load(path: str | Path, sockets: Sequence[str], names: Sequence[str] = ()) -> list[str]:
    """Puts an archive's images into every node and returns their full names.

    `names` as for `archive.prepare`.  Returns once CRI knows the images: a kubelet that asked
    earlier would try to pull them.  Raises BadArchive, LoadFailed.
    """
    with tempfile.TemporaryDirectory(prefix="trireme-image-") as folder:
        prepared = Path(folder, "image.tar")
        loaded = await asyncio.to_thread(archive.prepare, path, prepared, names)
        try:
            async with asyncio.TaskGroup() as nodes:
                for socket in sockets:
                    nodes.create_task(_load_one(str(prepared), socket, loaded))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return loaded


async def load_built(content: bytes, sockets: Sequence[str]) -> list[str]:
    """As `load`, for an archive that `build` has just made."""
    with tempfile.NamedTemporaryFile(prefix="trireme-image-", suffix=".tar") as file:
        await asyncio.to_thread(Path(file.name).write_bytes, content)
        return await load(file.name, sockets)


async def copy(names: Sequence[str], source: str, target: str, folder: Path) -> None:
    """Puts images of one node into another one, by an archive in `folder`.  Raises LoadFailed."""
    path = str(folder / "images.tar")
    await _ctr(source, "images", "export", path, *names)
    await _load_one(path, target, names)


async def images(socket: str) -> list[NodeImage]:
    """The named images of one node, by name."""
    lines = (await _ctr(socket, "images", "ls")).splitlines()[1:]
    found = []
    for line in lines:
        name, _, digest, number, unit, *rest = line.split()
        if not name.startswith("sha256:"):
            found.append(NodeImage(name, digest, f"{number} {unit}", _MANAGED in rest[-1]))
    return sorted(found, key=lambda image: image.name)


async def _load_one(path: str, socket: str, names: Sequence[str]) -> None:
    await _ctr(socket, "images", "import", path)
    for _ in range(_LOOKS):
        missing = set(names) - await _managed(socket)
        if not missing:
            return
        await asyncio.sleep(_POLL)
    raise LoadFailed(f"{socket}: CRI does not take notice of {sorted(missing)}")


async def _managed(socket: str) -> set[str]:
    return {image.name for image in await images(socket) if image.managed}


async def _ctr(socket: str, *command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "ctr",
        "--address",
        socket,
        "--namespace",
        NAMESPACE,
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    if process.returncode:
        reason = errors.decode(errors="replace").strip()
        raise LoadFailed(f"{socket}: ctr {' '.join(command)}: {reason}")
    return output.decode(errors="replace")
