"""/statusz and /flagz as text. Pure. Upstream: component-base ``zpages``."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Mapping

_WARNING = (
    "Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility"
    " guarantees and is for debugging purposes only.\n"
)


def flagz(name: str, flags: Mapping[str, str]) -> str:
    """The flags of a component and their values."""
    lines = "".join(f"{flag}={value}\n" for flag, value in sorted(flags.items()))
    return f"\n{name} flagz\n{_WARNING}{lines}"


def statusz(name: str, version: str, began: float, now: float, paths: Iterable[str]) -> str:
    """Since when a component runs, in which version, and where else to look. ``began`` and ``now``
    are seconds since 1970; ``version`` is v1.x.y."""
    up = int(now - began)
    started = time.strftime("%a %b %e %H:%M:%S UTC %Y", time.gmtime(began))
    version = version.removeprefix("v")
    return (
        f"\n{name} statusz\n{_WARNING}\nStarted: {started}\n"
        f"Up: {up // 3600} hr {up // 60 % 60:02} min {up % 60:02} sec\n"
        f"Python version: {platform.python_version()}\nBinary version: {version}\n"
        f"Emulation version: {version.rpartition('.')[0]}\nPaths: {' '.join(paths)}\n"
    )
