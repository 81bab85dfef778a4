"""Memory that is free goes back to the kernel: the C library would keep it for itself.

After a burst of large requests most of the heap is free, but glibc gives back only what lies at its
end. Called by what sees such bursts. Nothing happens where the C library has no ``malloc_trim``.
"""

from __future__ import annotations

import ctypes

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def trim() -> None:
    """Give back all whole pages that are free: milliseconds after a burst, else nothing. Blocks
    nobody but who allocates meanwhile."""
    if _trim is not None:
        _trim(0)
