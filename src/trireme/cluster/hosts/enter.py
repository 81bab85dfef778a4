"""Settings of a process in the kernel: its name, its parent-death signal, orphans.

Called by the processes of a local cluster and their parents. It imports next to nothing, as the
smallest of them (``cluster.guardian``) runs for as long as the cluster does.
"""

from __future__ import annotations

import ctypes
import signal

_PR_SET_NAME, _PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 15, 1, 36
_libc = ctypes.CDLL(None, use_errno=True)


def set_process_name(name: str) -> None:
    """Set the name of this process in ``ps``: ``tri-NAME``, at most 15 characters."""
    _libc.prctl(_PR_SET_NAME, f"tri-{name}".encode()[:15], 0, 0, 0)


def die_with_parent() -> None:
    """The kernel kills this process when its parent ends, for whatever reason."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def outlive_parent() -> None:
    """Undo ``die_with_parent``."""
    _libc.prctl(_PR_SET_PDEATHSIG, 0, 0, 0, 0)


def reap_orphans() -> None:
    """Descendants whose parent ends become this process's children (a subreaper)."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
