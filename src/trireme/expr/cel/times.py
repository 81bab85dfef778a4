"""Durations and timestamps: their texts and their parts.

Called by: the standard library and the adapters of schema formats. Rules: Go's ``time`` and
``strfmt``, cel-go ``common/types/{duration,timestamp}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from .errors import EvalError
from .values import INT_MAX, INT_MIN, Duration, Timestamp, fixed_text

_SECOND: Final = 10**9
_UNITS: Final = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": _SECOND,
    "m": 60 * _SECOND,
    "h": 3600 * _SECOND,
}
_PART: Final = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]+)").match
MIN_SECONDS: Final = -62135596800
MAX_SECONDS: Final = 253402300799
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:[.,]([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
).fullmatch


def parse_duration(text: str) -> Duration:
    """``1h30m``, ``-1.5s``: ValueError when Go's ``time.ParseDuration`` refuses it."""
    body = text[1:] if text[:1] in ("+", "-") else text
    if body == "0":
        return Duration(0)
    if not body:
        raise ValueError(f"invalid duration {text}")
    total, pos = 0, 0
    while pos < len(body):
        m = _PART(body, pos)
        if m is None or not (m[1] or m[2]) or m[3] not in _UNITS:
            raise ValueError(f"invalid duration {text}")
        unit = _UNITS[m[3]]
        total += int(m[1] or "0") * unit
        if m[2]:
            total += int(m[2]) * unit // 10 ** len(m[2])
        pos = m.end()
    total = -total if text[0] == "-" else total
    if not INT_MIN <= total <= INT_MAX:
        raise ValueError(f"invalid duration {text}")
    return Duration(total)


_LONG: Final = (
    (1, ("ns", "nano")),
    (10**3, ("us", "µs", "micro")),
    (10**6, ("ms", "milli")),
    (_SECOND, ("s", "sec")),
    (60 * _SECOND, ("m", "min")),
    (3600 * _SECOND, ("h", "hr", "hour")),
    (86400 * _SECOND, ("d", "day")),
    (7 * 86400 * _SECOND, ("w", "wk", "week")),
)
_WORDS: Final = re.compile(r"([0-9]+)\s*([A-Za-zµ]+)", re.ASCII)


def parse_format_duration(text: str) -> Duration:
    """A string of OpenAPI format ``duration``: Go's or ``2 days 3 hours``."""
    try:
        return parse_duration(text)
    except ValueError:
        pass
    total, known = 0, False
    for count, word in _WORDS.findall(text):
        unit = word.lower()
        for factor, names in _LONG:
            if unit in names or unit.startswith(names[-1]):
                total += int(count) * factor
                known = True
    if not known:
        raise ValueError(f"unable to parse {text} as duration")
    return Duration(total)


def parse_timestamp(text: str) -> Timestamp:
    """RFC 3339; ValueError when Go refuses it, EvalError outside of the years 1 to 9999."""
    m = _RFC3339(text)
    if m is None:
        raise ValueError(text)
    zone = m[8]
    offset = 0
    if zone != "Z":
        offset = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
        if int(zone[1:3]) > 24 or int(zone[4:6]) > 60:
            raise ValueError(text)
        if zone[0] == "-":
            offset = -offset
    if m[1] == "0000":
        raise EvalError("timestamp overflow")
    year, month, day, hour, minute, second = (int(m[i]) for i in range(1, 7))
    moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    seconds = _seconds(moment) - offset
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise EvalError("timestamp overflow")
    nanos = int(((m[7] or "") + "000000000")[:9])
    return Timestamp(seconds * _SECOND + nanos, offset)


def parse_date(text: str) -> Timestamp:
    """``2006-01-02``."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII):
        raise ValueError(text)
    return Timestamp(_seconds(datetime.fromisoformat(text).replace(tzinfo=UTC)) * _SECOND)


def parse_datetime(text: str) -> Timestamp:
    """A string of OpenAPI format ``date-time``: RFC 3339, or without a zone."""
    try:
        return parse_timestamp(text)
    except ValueError:
        return parse_timestamp(text + "Z")


def _seconds(moment: datetime) -> int:
    delta = moment - _EPOCH
    return delta.days * 86400 + delta.seconds


def duration_text(d: Duration) -> str:
    """Seconds with as few digits as tell it apart: ``1.5s``."""
    whole, rest = divmod(abs(d.ns), _SECOND)
    seconds = float(whole) + float(rest) / 1e9
    return ("-" if d.ns < 0 else "") + fixed_text(seconds) + "s"


def timestamp_text(t: Timestamp) -> str:
    """RFC 3339 with up to nine digits of a second, in the zone it was written in."""
    moment = _EPOCH + timedelta(seconds=t.ns // _SECOND + t.offset)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    nanos = t.ns % _SECOND
    if nanos:
        text += f".{nanos:09d}".rstrip("0")
    if not t.offset:
        return text + "Z"
    hours, minutes = divmod(abs(t.offset) // 60, 60)
    return f"{text}{'-' if t.offset < 0 else '+'}{hours:02d}:{minutes:02d}"


def checked_duration(ns: int) -> Duration:
    """A duration within 64 bits."""
    if not INT_MIN <= ns <= INT_MAX:
        raise EvalError("integer overflow")
    return Duration(ns)


def checked_timestamp(ns: int, offset: int) -> Timestamp:
    """A timestamp within the years 1 to 9999."""
    if not MIN_SECONDS <= ns // _SECOND <= MAX_SECONDS:
        raise EvalError("timestamp overflow")
    return Timestamp(ns, offset)


@lru_cache(256)
def _zone(name: str) -> tzinfo:
    hours, colon, minutes = name.partition(":")
    if not colon:
        if name in ("", "UTC"):
            return UTC
        try:
            return ZoneInfo(name)
        except Exception:
            raise EvalError(f"unknown time zone {name}") from None
    try:
        h, m = int(hours), int(minutes)
    except ValueError:
        bad = hours if not re.fullmatch(r"[+-]?[0-9]+", hours, re.ASCII) else minutes
        raise EvalError(f'strconv.Atoi: parsing "{bad}": invalid syntax') from None
    total = h * 60 - m if name.startswith("-") else h * 60 + m
    try:
        return timezone(timedelta(minutes=total))
    except ValueError:
        raise EvalError(f"unknown time zone {name}") from None


def _moment(t: Timestamp, zone: str) -> datetime:
    return (_EPOCH + timedelta(seconds=t.ns // _SECOND)).astimezone(_zone(zone))


Part = Callable[[datetime, Timestamp], int]
PARTS: Final[dict[str, Part]] = {
    "getFullYear": lambda d, t: d.year,
    "getMonth": lambda d, t: d.month - 1,
    "getDayOfYear": lambda d, t: d.timetuple().tm_yday - 1,
    "getDayOfMonth": lambda d, t: d.day - 1,
    "getDate": lambda d, t: d.day,
    "getDayOfWeek": lambda d, t: d.isoweekday() % 7,
    "getHours": lambda d, t: d.hour,
    "getMinutes": lambda d, t: d.minute,
    "getSeconds": lambda d, t: d.second,
    "getMilliseconds": lambda d, t: t.ns % _SECOND // 10**6,
}


def part(name: str) -> Callable[[Timestamp, str], int]:
    """The function that takes one part of a timestamp in a zone."""
    of = PARTS[name]

    def take(t: Timestamp, zone: str = "") -> int:
        return of(_moment(t, zone), t)

    return take


def _whole(unit: int) -> Callable[[Duration], int]:
    return lambda d: abs(d.ns) // unit * (-1 if d.ns < 0 else 1)


DURATION_PARTS: Final[dict[str, Callable[[Duration], int]]] = {
    "getHours": _whole(3600 * _SECOND),
    "getMinutes": _whole(60 * _SECOND),
    "getSeconds": _whole(_SECOND),
    "getMilliseconds": _whole(10**6),
}
