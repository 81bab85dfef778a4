"""Static pods from the files of a directory, or from one file.

In: a path of the node. Out: the pods of all manifests, when any has changed. Called by
desired/static. Names that begin with a dot and directories are left out. What is no manifest is
logged once, and its pod is gone.
"""

from __future__ import annotations

from trireme.api.core import v1 as core
from trireme.kit.env import Env
from trireme.kubelet.desired import manifests
from trireme.kubelet.desired.manifests import ManifestError, Origin
from trireme.kubelet.host.contract import Host
from trireme.machinery import time


class Files:
    """Reads every file at each ``read``: they are few and small, and a read sees every change."""

    def __init__(self, env: Env, host: Host, path: str, node: str) -> None:
        self._env, self._host, self._node = env, host, node
        self._path = path.rstrip("/") or "/"
        self._last: dict[str, bytes] | None = None
        self._problems: dict[str, str] = {}

    def read(self) -> list[core.Pod] | None:
        """None when nothing has changed. Raises OSError when the path cannot be read."""
        contents = self._contents()
        if contents == self._last:
            return None
        self._last = contents
        found, now = [], time.format(self._env.clock.now())
        for path, data in contents.items():
            try:
                origin = Origin(manifests.FILE, path, self._node)
                found += manifests.pods(data, origin, now)
            except ManifestError as error:
                self._env.log.error("static pod: could not process manifest file: %s", error)
        return found

    def _contents(self) -> dict[str, bytes]:
        info = self._host.info(self._path)
        if info is None:
            return {}
        if info.kind == "file":
            return {self._path: self._content(self._path)}
        if info.kind != "dir":
            raise OSError(22, "path is not a directory or file", self._path)
        found = {}
        for name in self._host.list(self._path):
            path = f"{self._path}/{name}"
            try:
                entry = self._host.info(path)
                if name.startswith(".") or entry is None or entry.kind != "file":
                    continue
                found[path] = self._content(path)
            except OSError as error:
                if self._problems.get(path) != str(error):
                    self._problems[path] = str(error)
                    self._env.log.error("static pod: reading %s failed: %s", path, error)
        return found

    def _content(self, path: str) -> bytes:
        file = self._host.open(path)
        try:
            data, part = b"", b"x"
            while part and len(data) <= manifests.LIMIT:
                part = file.read(manifests.LIMIT + 1 - len(data))
                data += part
            return data
        finally:
            file.close()
