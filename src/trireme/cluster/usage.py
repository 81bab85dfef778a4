"""The resource usage of a process, from /proc: memory (PSS) and CPU."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec


class Usage(msgspec.Struct, frozen=True):
    """``pss``: proportional set size in bytes. ``cpu``: cores, averaged since the process
    started."""

    pss: int
    cpu: float


def of(pid: int) -> Usage | None:
    """The usage of a process; None when it has ended or is somebody else's."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        stat = Path(f"/proc/{pid}/stat").read_text()
        up = float(Path("/proc/uptime").read_text().split()[0])
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    pss = next(
        (int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:")), 0
    )
    fields = stat.rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    seconds = (int(fields[11]) + int(fields[12])) / ticks
    age = max(up - int(fields[19]) / ticks, 0.01)
    return Usage(pss, seconds / age)
