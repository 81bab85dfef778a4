"""What a process says to the kernel about itself: where it is, how it is called, when it ends.

Called by the processes of a local cluster and their parents. It imports next to nothing, as the
smallest of them (``cluster.guardian``) lives for as long as the cluster does.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator

_PR_SET_NAME, _PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 15, 1, 36
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def call_itself(name: str) -> None:
    """How ``ps`` calls this process: ``tri-NAME``, at most 15 characters."""
    _libc.prctl(_PR_SET_NAME, f"tri-{name}".encode()[:15], 0, 0, 0)


def end_with_parent() -> None:
    """The kernel kills this process when its parent ends, for whatever reason."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def outlive_parent() -> None:
    """Take ``end_with_parent`` back."""
    _libc.prctl(_PR_SET_PDEATHSIG, 0, 0, 0, 0)


def reap_orphans() -> None:
    """Descendants whose parent ends become this process's children (a subreaper)."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@contextlib.contextmanager
def inside(netns_path: str) -> Iterator[None]:
    """Be in another network namespace for a moment: a socket stays in the one it was made in."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        network(netns_path)
        try:
            yield
        finally:
            _set_namespace(home, "the namespace that we came from")
    finally:
        os.close(home)


def network(netns_path: str) -> None:
    """Move this thread into a network namespace. Raises OSError."""
    handle = os.open(netns_path, os.O_RDONLY)
    try:
        _set_namespace(handle, netns_path)
    finally:
        os.close(handle)


def _set_namespace(handle: int, what: str) -> None:
    if _libc.setns(handle, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"cannot enter {what}")
