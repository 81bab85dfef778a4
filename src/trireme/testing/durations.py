"""Lengths of time as tests write them: seconds, ``timedelta``, ``"31d"``, ``"1h30m"``. Pure."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TypeAlias

Duration: TypeAlias = "float | str | timedelta"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")


def seconds(duration: Duration) -> float:
    """The length in seconds. ValueError for what is none, and for a negative one."""
    if isinstance(duration, timedelta):
        length = duration.total_seconds()
    elif isinstance(duration, str):
        length = _parse(duration)
    else:
        length = float(duration)
    if not 0 <= length < float("inf"):
        raise ValueError(f"{duration!r}: time does not go back, and has an end")
    return length


def text(length: float) -> str:
    """``1h0m5s`` for 3605."""
    if length < 60:
        return f"{length:.3f}".rstrip("0").rstrip(".") + "s"
    left, parts = round(length), []
    for unit in ("d", "h", "m", "s"):
        count, left = divmod(left, int(_UNITS[unit]))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def _parse(duration: str) -> float:
    parts = _PART.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        units = ", ".join(_UNITS)
        raise ValueError(f"{duration!r} is no length of time: a number and a unit of {units}")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
