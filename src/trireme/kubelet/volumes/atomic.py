"""The atomic writer: replaces a set of files so that readers get all old or all new ones.

In: a directory and a payload. Out: files behind ``..data``; whether anything changed. Called by the
configMap, secret, downwardAPI and projected plugins. Rules: reference "atomic writer"; the layout
is part of what applications rely on (inotify on ``..data``).

Layout: ``<dir>/..<stamp>/<files>``, ``<dir>/..data`` -> ``..<stamp>``, and for each first path
component ``<dir>/<name>`` -> ``..data/<name>``. The swap is one rename of ``..data``. Other files
that a pod put there are neither followed nor changed.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping

import msgspec

from trireme.kubelet.host.contract import Host, Root

DATA = "..data"
NEW_DATA = "..data_tmp"


class File(msgspec.Struct, frozen=True):
    """``uid`` -1 leaves the owner unchanged."""

    data: bytes
    mode: int = 0o644
    uid: int = -1


async def write(
    host: Host,
    directory: str,
    payload: Mapping[str, File],
    stamp: str,
    set_perms: Callable[[Root, str], None] | None = None,
) -> bool:
    """Replace the content of ``directory`` by ``payload``. ``stamp`` names the new version.

    ``set_perms`` may change owners and modes in the new version before it becomes visible.
    """
    for path in payload:
        check_path(path)
    payload = {posixpath.normpath(path): file for path, file in payload.items()}
    with host.open_root(directory) as root:
        old = root.readlink(DATA)
        if old is not None and "/" not in old and _is_same(root, old, payload):
            _link_names(root, payload)
            return False
        new = f"..{stamp}"
        root.make_dirs(new)
        for path, file in payload.items():
            root.make_dirs(f"{new}/{path}".rpartition("/")[0])
            root.write(f"{new}/{path}", file.data, file.mode, file.uid)
        if set_perms is not None:
            set_perms(root, new)
        root.remove(NEW_DATA)
        root.symlink(new, NEW_DATA)
        root.rename(NEW_DATA, DATA)
        _link_names(root, payload)
        stale = [n for n in root.list() if n.startswith("..") and n not in (DATA, new)]
    for name in stale:
        await host.remove_tree(f"{directory}/{name}")
    return True


def check_path(path: str) -> None:
    """Raises ValueError for a path that could leave the volume or collide with ``..data``."""
    if not path:
        raise ValueError("invalid path: must not be empty")
    if path.startswith("/"):
        raise ValueError(f"invalid path: must be relative path: {path}")
    if ".." in path.split("/"):
        raise ValueError(f"invalid path: must not contain '..': {path}")
    if path.startswith(".."):
        raise ValueError(f"invalid path: must not start with '..': {path}")


def _is_same(root: Root, version: str, payload: Mapping[str, File]) -> bool:
    names: dict[str, set[str]] = {version: set()}
    for path in payload:
        folder = version
        for name in path.split("/"):
            names.setdefault(folder, set()).add(name)
            folder = f"{folder}/{name}"
    try:
        return all(set(root.list(folder)) == below for folder, below in names.items()) and all(
            root.read(f"{version}/{path}", len(file.data) + 1) == file.data
            for path, file in payload.items()
        )
    except OSError:
        return False


def _link_names(root: Root, payload: Mapping[str, File]) -> None:
    linked = {path.split("/", 1)[0] for path in payload}
    for name in root.list():
        if name not in linked and root.readlink(name) == f"{DATA}/{name}":
            root.remove(name)
    for name in sorted(linked):
        if root.info(name) is None:
            root.symlink(f"{DATA}/{name}", name)
