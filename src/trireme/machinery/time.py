"""Instants and durations as the API writes them, and as people read them.

In: RFC 3339 texts, Go durations, or epoch seconds (float, UTC). Out: the same in the other form, or
the canonical text that upstream stores: ``Time`` in whole seconds, ``MicroTime`` in microseconds,
both ending in ``Z``. Called by: ``schema/normalise``, controllers, printers. Rules: apimachinery
``meta/v1`` Time, MicroTime, Duration; Go's ``time`` package; ``util/duration`` for people.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from trireme.machinery import gotext

_LAYOUT: Final = "2006-01-02T15:04:05Z07:00"
_MICRO_LAYOUT: Final = "2006-01-02T15:04:05.000000Z07:00"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Go's zero instant, which means that there is none.
_ZERO: Final = datetime(1, 1, 1, tzinfo=UTC)
# It stands where an item must: upstream writes null there, and clients in Go read no empty text.
ZERO: Final = "0001-01-01T00:00:00Z"
_DATE: Final = r"(\d{4})-(\d\d)-(\d\d)T(\d\d?):(\d\d):(\d\d)"
_ZONE: Final = r"(?:Z|([+-])(\d\d):(\d\d))\Z"
_time: Final = re.compile(rf"{_DATE}(?:[.,](\d+))?{_ZONE}", re.ASCII).match
_micro_time: Final = re.compile(rf"{_DATE}[.,](\d{{6}}){_ZONE}", re.ASCII).match
_STEPS: Final = ("2006", "-", "01", "-", "02", "T", "15", ":", "04", ":", "05")
_NANOS: Final = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9,
    "h": 3600 * 10**9,
}  # fmt: skip
_duration_part: Final = re.compile(r"(\d*)(?:(\.)(\d*))?([^\d.]*)", re.ASCII).match


def parse(text: str) -> float:
    """Epoch seconds of a ``Time``. Raises ValueError in Go's words."""
    # The canonical form, by which nearly all come, is read by the library. It is more lenient.
    if len(text) == 20 and text[4::3] == "--T::Z" and text.isascii() and text[11:13] != "24":
        try:
            return datetime.fromisoformat(text).timestamp()
        except ValueError:
            pass
    return _instant(text, _time, _LAYOUT).timestamp()


def parse_micro(text: str) -> float:
    """Epoch seconds of a ``MicroTime``, which must have six fractional digits."""
    return _instant(text, _micro_time, _MICRO_LAYOUT).timestamp()


def format(seconds: float) -> str:
    """A ``Time``: fractions of a second are dropped."""
    return _text(_EPOCH + timedelta(seconds=seconds // 1))


def format_micro(seconds: float) -> str:
    """A ``MicroTime``, rounded to the microsecond."""
    return _micro_text(_EPOCH + timedelta(seconds=seconds))


@lru_cache(maxsize=8192)
def canonical(text: str) -> str:
    """The ``Time`` as upstream stores it; ``""`` for Go's zero instant, there null."""
    return _text(_instant(text, _time, _LAYOUT))


@lru_cache(maxsize=8192)
def canonical_micro(text: str) -> str:
    """The ``MicroTime`` as upstream stores it; ``""`` for Go's zero instant."""
    return _micro_text(_instant(text, _micro_time, _MICRO_LAYOUT))


def parse_duration(text: str) -> float:
    """Seconds of a Go duration, such as ``1h30m``. Raises ValueError in Go's words."""
    return _duration_nanos(text) / 10**9


def format_duration(seconds: float) -> str:
    """The Go duration of ``seconds``, to the nanosecond: ``1h30m0s``, ``1.5s``, ``20ms``."""
    return _duration_text(round(seconds * 10**9))


@lru_cache(maxsize=1024)
def canonical_duration(text: str) -> str:
    """The Go duration as upstream stores it."""
    return _duration_text(_duration_nanos(text))


def human_duration(seconds: float) -> str:
    """Two or three figures for people: ``119s``, ``5m30s``, ``3h``, ``2d4h``, ``3y12d``."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 120:
        return f"{whole}s"
    minutes, hours = whole // 60, whole // 3600
    days, years = hours // 24, hours // 24 // 365
    if minutes < 10:
        return _pair(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _pair(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _pair(days, "d", hours % 24, "h")
    if years < 2:
        return f"{days}d"
    if years < 8:
        return _pair(years, "y", days % 365, "d")
    return f"{years}y"


def _pair(first: int, first_unit: str, second: int, second_unit: str) -> str:
    return f"{first}{first_unit}{second}{second_unit}" if second else f"{first}{first_unit}"


def _instant(text: str, match: Callable[[str], re.Match[str] | None], layout: str) -> datetime:
    found = match(text)
    if found is None:
        raise ValueError(_mismatch(text, layout))
    year, month, day, hour, minute, second, fraction, sign, zone_hour, zone_minute = found.groups()
    for name, value, low, high in (
        ("month", month, 1, 12),
        ("hour", hour, 0, 23),
        ("minute", minute, 0, 59),
        ("second", second, 0, 59),
        ("time zone offset hour", zone_hour or "0", 0, 24),
        ("time zone offset minute", zone_minute or "0", 0, 60),
    ):
        if not low <= int(value) <= high:
            raise ValueError(f"parsing time {gotext.quote(text)}: {name} out of range")
    micros = int((fraction or "0").ljust(6, "0")[:6])
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour), int(minute), int(second), micros,
            tzinfo=UTC,
        )  # fmt: skip
        if sign:
            shift = timedelta(hours=int(zone_hour), minutes=int(zone_minute))
            moment = moment - shift if sign == "+" else moment + shift
    except (ValueError, OverflowError):
        # Year 0 and instants outside years 1 to 9999 are legal in Go; no object has a use for them.
        raise ValueError(f"parsing time {gotext.quote(text)}: day out of range") from None
    return moment


def _text(moment: datetime) -> str:
    if moment == _ZERO:
        return ""
    return f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}T{moment:%H:%M:%S}Z"


def _micro_text(moment: datetime) -> str:
    whole = _text(moment)
    return f"{whole[:-1]}.{moment.microsecond:06d}Z" if whole else ""


def _mismatch(text: str, layout: str) -> str:
    """Go's message for the first part of ``layout`` that ``text`` does not follow."""
    rest = text
    for step in _STEPS:
        taken = re.match(_STEP_SYNTAX.get(step, re.escape(step)), rest)
        if taken is None:
            break
        rest = rest[taken.end() :]
    else:
        step = ".000000" if layout == _MICRO_LAYOUT else ""
        if step:
            taken = re.match(r"[.,][0-9]{6}", rest)
            rest = rest[taken.end() :] if taken else rest
        else:
            taken = re.match(r"(?:[.,][0-9]+)?", rest)
            rest = rest[taken.end() :] if taken else rest
        if taken is not None:
            zone = re.match(r"Z|[+-][0-9]{2}:[0-9]{2}", rest)
            if zone is not None:
                extra = gotext.quote(rest[zone.end() :])
                return f"parsing time {gotext.quote(text)}: extra text: {extra}"
            step = "Z07:00"
    where = f"cannot parse {gotext.quote(rest)} as {gotext.quote(step)}"
    return f"parsing time {gotext.quote(text)} as {gotext.quote(layout)}: {where}"


_STEP_SYNTAX: Final = {
    "2006": "[0-9]{4}", "01": "[0-9]{2}", "02": "[0-9]{2}", "15": "[0-9]{1,2}", "04": "[0-9]{2}",
    "05": "[0-9]{2}",
}  # fmt: skip


def _duration_nanos(text: str) -> int:
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(f"time: invalid duration {gotext.quote(text)}")
    total = 0
    while rest:
        found = _duration_part(rest)
        assert found is not None
        whole, point, fraction, unit = found.groups()
        if not whole and not fraction:
            raise ValueError(f"time: invalid duration {gotext.quote(text)}")
        if not unit:
            raise ValueError(f"time: missing unit in duration {gotext.quote(text)}")
        if unit not in _NANOS:
            known = f"unknown unit {gotext.quote(unit)} in duration {gotext.quote(text)}"
            raise ValueError(f"time: {known}")
        scale = _NANOS[unit]
        if len(whole) > 19:
            raise ValueError(f"time: invalid duration {gotext.quote(text)}")
        total += int(whole or "0") * scale
        if point and fraction:
            kept = fraction[:18]
            total += int(kept) * scale // 10 ** len(kept)
        if total > 2**63 - 1:
            raise ValueError(f"time: invalid duration {gotext.quote(text)}")
        rest = rest[found.end() :]
    return -total if text[0] == "-" else total


def _duration_text(nanos: int) -> str:
    if nanos == 0:
        return "0s"
    sign, size = ("-", -nanos) if nanos < 0 else ("", nanos)
    if size < 10**9:
        unit, scale = ("ms", 10**6) if size >= 10**6 else ("µs", 10**3)
        if size < 10**3:
            return f"{sign}{size}ns"
        return f"{sign}{_decimal(size, scale)}{unit}"
    minutes, rest = divmod(size, 60 * 10**9)
    seconds = f"{_decimal(rest, 10**9)}s"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else f"{sign}{seconds}"


def _decimal(number: int, unit: int) -> str:
    whole, rest = divmod(number, unit)
    digits = str(rest).rjust(len(str(unit)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
