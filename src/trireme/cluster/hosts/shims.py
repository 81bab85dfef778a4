"""Orphaned shims: containerd lost track of them, and they keep a pod's processes running.

In: a node's containerd. Out: killed processes. A shim is orphaned when containerd has no container
of its id at two checks, a minute apart, so that shims being created or removed are excluded. Called
by the supervisor (``topology``), about once a second. containerd itself removes them only when it
restarts.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from trireme.cluster.hosts.plan import NodePlan

# Looks, a second apart, between two questions; and after which an answer is given up.
PERIOD, PATIENCE = 60, 20
_NAMESPACE = "k8s.io"


def lost(
    shims: Mapping[str, int], known: set[str], suspects: set[str]
) -> tuple[set[str], set[str]]:
    """``shims``: process by id. Returns the ids to end now, and those that are suspects from now
    on. Pure."""
    unknown = shims.keys() - known
    return unknown & suspects, unknown - suspects


def running(socket: str) -> dict[str, int]:
    """The shims of the containerd at this socket: process by the id of the sandbox."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            argv = path.read_bytes().decode(errors="replace").split("\0")
            options = dict(zip(argv[1::2], argv[2::2], strict=False))
            is_shim = os.path.basename(argv[0]).startswith("containerd-shim")
            if is_shim and options.get("-address") == socket and "-id" in options:
                found[options["-id"]] = int(path.parent.name)
    return found


class Watch:
    """Checks one node's shims periodically."""

    def __init__(self, node: NodePlan) -> None:
        self._socket = node.containerd_socket
        self._looks = 0
        self._asking: subprocess.Popen[str] | None = None
        self._suspects: set[str] = set()

    def look(self) -> list[int]:
        """Returns the processes that were ended."""
        self._looks += 1
        if self._asking is None:
            if self._looks >= PERIOD:
                self._ask()
            return []
        if self._asking.poll() is None:
            if self._looks >= PATIENCE:
                self._asking.kill()
            return []
        printed, _ = self._asking.communicate()
        answered, self._asking, self._looks = self._asking.returncode == 0, None, 0
        if not answered:
            return []
        shims = running(self._socket)
        gone, self._suspects = lost(shims, set(printed.split()), self._suspects)
        for name in gone:
            _end(shims[name])
        return [shims[name] for name in gone]

    def _ask(self) -> None:
        self._looks = 0
        words = ["ctr", "--address", self._socket, "--namespace", _NAMESPACE]
        # Its output is some 65 bytes a container: a pipe takes those of a thousand.
        with contextlib.suppress(OSError):
            self._asking = subprocess.Popen(
                [*words, "containers", "ls", "-q"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )


def _end(shim: int) -> None:
    """The shim and what it has started: its children are the first processes of containers."""
    for pid in (*_children(shim), shim):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += [int(number) for number in path.read_text().split()]
    return found
