"""Write a set of files so that a reader sees all of the old ones or all of the new ones.

In: a directory and a payload. Out: files behind ``..data``; whether anything changed. Called by the
configMap, secret, downwardAPI and projected plugins. Rules: reference "atomic writer"; the layout
is part of what applications rely on (inotify on ``..data``).

Layout: ``<dir>/..<stamp>/<files>``, ``<dir>/..data`` -> ``..<stamp>``, and for each first path
component ``<dir>/<name>`` -> ``..data/<name>``. The swap is one rename of ``..data``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from trireme.kubelet.host.contract import Host

DATA = "..data"
NEW_DATA = "..data_tmp"


class File(msgspec.Struct, frozen=True):
    """``uid`` None leaves the owner as it is made."""

    data: bytes
    mode: int = 0o644
    uid: int | None = None


async def write(
    host: Host,
    directory: str,
    payload: Mapping[str, File],
    stamp: str,
    settle: Callable[[str], None] | None = None,
) -> bool:
    """Make ``directory`` show exactly ``payload``. ``stamp`` names the new version.

    ``settle`` may change owners and modes in the new version before it becomes visible.
    """
    for path in payload:
        check_path(path)
    old = host.readlink(f"{directory}/{DATA}")
    if old is not None and _same(host, f"{directory}/{old}", payload):
        _link_names(host, directory, payload)
        return False
    fresh = f"{directory}/..{stamp}"
    host.make_dirs(fresh, 0o755)
    for path, file in payload.items():
        _write_file(host, f"{fresh}/{path}", file)
    if settle is not None:
        settle(fresh)
    host.remove(f"{directory}/{NEW_DATA}")
    host.symlink(f"..{stamp}", f"{directory}/{NEW_DATA}")
    host.rename(f"{directory}/{NEW_DATA}", f"{directory}/{DATA}")
    _link_names(host, directory, payload)
    for name in host.list(directory):
        if name.startswith("..") and name not in (DATA, f"..{stamp}"):
            await host.remove_tree(f"{directory}/{name}")
    return True


def check_path(path: str) -> None:
    """Raises ValueError for a path that could leave the volume or hide its machinery."""
    if not path:
        raise ValueError("invalid path: must not be empty")
    if path.startswith("/"):
        raise ValueError(f"invalid path: must be relative path: {path}")
    if ".." in path.split("/"):
        raise ValueError(f"invalid path: must not contain '..': {path}")
    if path.startswith(".."):
        raise ValueError(f"invalid path: must not start with '..': {path}")


def _same(host: Host, version: str, payload: Mapping[str, File]) -> bool:
    if set(_files(host, version, "")) != set(payload):
        return False
    return all(host.read(f"{version}/{path}") == file.data for path, file in payload.items())


def _files(host: Host, root: str, below: str) -> list[str]:
    found = []
    for name in host.list(f"{root}/{below}" if below else root):
        path = f"{below}/{name}" if below else name
        info = host.info(f"{root}/{path}", follow=False)
        if info is not None and info.kind == "dir":
            found += _files(host, root, path)
        else:
            found.append(path)
    return found


def _write_file(host: Host, path: str, file: File) -> None:
    host.make_dirs(path.rpartition("/")[0], 0o755)
    host.write(path, file.data, file.mode)
    if file.uid is not None:
        host.chown(path, file.uid, -1)


def _link_names(host: Host, directory: str, payload: Mapping[str, File]) -> None:
    wanted = {path.split("/", 1)[0] for path in payload}
    for name in host.list(directory):
        if not name.startswith("..") and name not in wanted:
            host.remove(f"{directory}/{name}")
    for name in sorted(wanted):
        if host.readlink(f"{directory}/{name}") is None:
            host.symlink(f"{DATA}/{name}", f"{directory}/{name}")
