"""Which runtimes mount images into containers themselves. Pure.

In: a runtime's name and version. Out: whether CRI's ``Mount.image`` is heeded. A runtime that does
not know the field ignores it, so that it cannot be found out by trying. Upstream: KEP-4639.
"""

from __future__ import annotations

import re

_SINCE = {"containerd": (2, 1), "cri-o": (1, 31)}
_NUMBERS = re.compile(r"v?(\d+)\.(\d+)").match


def mounts(name: str, version: str) -> bool:
    since, found = _SINCE.get(name), _NUMBERS(version)
    return since is not None and found is not None and (int(found[1]), int(found[2])) >= since
