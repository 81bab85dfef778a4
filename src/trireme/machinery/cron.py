"""Cron schedules as CronJobs write them: five fields, names, steps and ``@`` descriptors.

In: the text of a schedule. Out: a ``Schedule``, or a ValueError in the words that clients see.
Called by the rules of CronJobs and by their controller. Pure: knows no clock and no time zone.
Rules: https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from trireme.machinery import time

_MONTHS: Final = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_ZONE: Final = re.compile(r"(?:CRON_)?TZ=\S* ?")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+\Z")
_EVERY: Final = "@every "
_DESCRIPTORS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


@dataclass(frozen=True, slots=True)
class _Field:
    low: int
    high: int
    names: tuple[str, ...] = ()
    first: int = 0  # the number of the first name


_FIELDS: Final = (
    _Field(0, 59),
    _Field(0, 23),
    _Field(1, 31),
    _Field(1, 12, _MONTHS, 1),
    _Field(0, 6, _DAYS),
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a schedule fires: the allowed values of each field, or a fixed interval in seconds.

    ``any_day`` and ``any_weekday``: the field is a star. Where neither is, a day that fits one of
    the two is enough.
    """

    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    any_day: bool = False
    any_weekday: bool = False
    every: float = 0.0


def parse(text: str) -> Schedule:
    """The schedule that ``text`` writes; a leading ``TZ=`` is the caller's. Raises ValueError."""
    if not text:
        raise ValueError("empty spec string")
    text = _ZONE.sub("", text, count=1).strip() if _ZONE.match(text) else text
    if text.startswith("@"):
        if text.startswith(_EVERY):
            return _every(text)
        if text not in _DESCRIPTORS:
            raise ValueError(f"unrecognized descriptor: {text}")
        text = _DESCRIPTORS[text]
    parts = text.split()
    if len(parts) != len(_FIELDS):
        fields = " ".join(parts)
        raise ValueError(f"expected exactly 5 fields, found {len(parts)}: [{fields}]")
    values = [_values(part, kind) for part, kind in zip(parts, _FIELDS, strict=True)]
    minutes, hours, days, months, weekdays = (found for found, _ in values)
    return Schedule(minutes, hours, days, months, weekdays, values[2][1], values[4][1])


def _every(text: str) -> Schedule:
    try:
        seconds = time.parse_duration(text.removeprefix(_EVERY))
    except ValueError as problem:
        raise ValueError(f"failed to parse duration {text}: {problem}") from None
    # Whole seconds, at least one.
    return Schedule(every=max(float(int(seconds)), 1.0))


def _values(part: str, kind: _Field) -> tuple[frozenset[int], bool]:
    """The values of a field, and whether it is a star."""
    found: set[int] = set()
    star = False
    for item in part.split(","):
        if item:
            values, whole = _range(item, kind)
            found |= values
            star = star or whole
    return frozenset(found), star


def _range(item: str, kind: _Field) -> tuple[set[int], bool]:
    bounds, *steps = item.split("/")
    ends = bounds.split("-")
    star = ends[0] in ("*", "?")
    if star:
        low, high = kind.low, kind.high
    else:
        low = high = _number(ends[0], kind)
        if len(ends) == 2:
            high = _number(ends[1], kind)
        elif len(ends) > 2:
            raise ValueError(f"too many hyphens: {item}")
    if len(steps) > 1:
        raise ValueError(f"too many slashes: {item}")
    step = 1
    if steps:
        step = _integer(steps[0])
        high = kind.high if len(ends) == 1 else high
        star = star and step <= 1
    if low < kind.low:
        raise ValueError(f"beginning of range ({low}) below minimum ({kind.low}): {item}")
    if high > kind.high:
        raise ValueError(f"end of range ({high}) above maximum ({kind.high}): {item}")
    if low > high:
        raise ValueError(f"beginning of range ({low}) beyond end of range ({high}): {item}")
    if step == 0:
        raise ValueError(f"step of range should be a positive number: {item}")
    return set(range(low, high + 1, step)), star


def _number(text: str, kind: _Field) -> int:
    lower = text.lower()
    if lower in kind.names:
        return kind.names.index(lower) + kind.first
    return _integer(text)


def _integer(text: str) -> int:
    if not _INTEGER.match(text) or len(text) > 18:
        detail = "value out of range" if _INTEGER.match(text) else "invalid syntax"
        quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        raise ValueError(
            f"failed to parse int from {text}: strconv.Atoi: parsing {quoted}: {detail}"
        )
    number = int(text)
    if number < 0:
        raise ValueError(f"negative number ({number}) not allowed: {text}")
    return number
