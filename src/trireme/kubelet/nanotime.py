"""Times with nanoseconds, as in CRI and container log files.

In: nanoseconds since the epoch, or text. Out: the other. Pure. Whole seconds: ``machinery/time``.
"""

from __future__ import annotations

import calendar
import re

from trireme.machinery import time

_SYNTAX = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)\Z", re.ASCII
).match


def nanos_text(nanos: int) -> str | None:
    """The API's ``Time`` for CRI's nanoseconds; ``None`` for zero, which means unknown."""
    return time.format(nanos // 10**9) if nanos > 0 else None


def fixed_nanos(nanos: int) -> str:
    """``2026-01-02T03:04:05.000000006Z``: the nine digits that log lines carry."""
    return f"{time.format(nanos // 10**9).removesuffix('Z')}.{nanos % 10**9:09d}Z"


def parse_nanos(text: str) -> int:
    """RFC 3339 with up to nine digits of a second. Raises ValueError."""
    found = _SYNTAX(text)
    if found is None:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    year, month, day, hour, minute, second = (int(group) for group in found.groups()[:6])
    fraction, zone = found.group(7) or "", found.group(8)
    seconds = calendar.timegm((year, month, day, hour, minute, second))
    if zone != "Z":
        sign = 1 if zone[0] == "+" else -1
        seconds -= sign * (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60)
    return seconds * 10**9 + int(fraction.ljust(9, "0"))
