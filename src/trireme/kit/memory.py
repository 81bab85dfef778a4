"""Return free memory of the heap to the kernel.

After a burst of large requests most of the heap is free, but glibc returns only what lies at its
end. Called after such bursts. Nothing happens if the C library has no ``malloc_trim``.
"""

from __future__ import annotations

import ctypes

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def trim() -> None:
    """Return all whole free pages: takes milliseconds after a burst. Blocks only threads that
    allocate meanwhile."""
    if _trim is not None:
        _trim(0)
