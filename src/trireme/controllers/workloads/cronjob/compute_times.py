"""When a schedule fires, in a time zone, and what of that a CronJob has missed. Pure.

In: a ``cron.Schedule``, a time zone, times in seconds since 1970. Out: times. A day that has an
hour twice or not at all is treated as upstream's library does: the search goes through months,
days, hours and minutes of the zone's own clock. Called by ``plan``. Upstream: robfig/cron
``spec.go``, pkg/controller/cronjob/utils.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from trireme.machinery.cron import Schedule

# More missed times than that are worth a warning.
MANY = 100
_YEARS = 5
_MINUTE, _HOUR = 60, 3600


class Missed(NamedTuple):
    """``earliest``: since when is looked; ``latest``: the last time that was missed, None for none;
    ``number`` of them is a guess."""

    earliest: float
    latest: float | None
    number: int


def missed(
    schedule: Schedule, zone: tzinfo, since: float, now: float, deadline: float | None
) -> Missed:
    """What was missed ``since`` the last time; a ``deadline`` in seconds cuts off what is too late.
    ValueError for a schedule that never fires."""
    earliest = since if deadline is None else max(since, now - deadline)
    first = following(schedule, zone, earliest)
    if first is None:
        raise ValueError("time difference between two schedules is less than 1 second")
    second = following(schedule, zone, first)
    if now < first:
        return Missed(earliest, None, 0)
    if second is None or now < second:
        return Missed(earliest, first, 1)
    between = max(1, round(second - first))
    count = int(now - first) // between + 1
    # A step back first: what comes between two times need not be as long each time.
    start = first + (count - 2) * between
    return Missed(earliest, _latest(schedule, zone, start, now), count)


def _latest(schedule: Schedule, zone: tzinfo, after: float, now: float) -> float | None:
    """The last time until ``now`` that comes after ``after``: there may be very many."""
    latest = following(schedule, zone, after)
    if latest is None or latest > now:
        return None
    if schedule.every:
        return latest + (now - latest) // schedule.every * schedule.every
    low, high = int(latest), int(now)
    while low < high:
        middle = (low + high) // 2
        fires = following(schedule, zone, middle)
        if fires is None or fires > now:
            high = middle
        else:
            latest, low = fires, int(fires)
    return latest


def following(schedule: Schedule, zone: tzinfo, after: float) -> float | None:
    """The first time after ``after``; None when there is none in five years."""
    if schedule.every:
        return float(int(after)) + schedule.every
    instant = int(after) + 1
    limit = _local(instant, zone).year + _YEARS
    reset = False
    while True:
        local = _local(instant, zone)
        if local.year > limit:
            return None
        if local.month not in schedule.months:
            if not reset:
                local, reset = local.replace(day=1, hour=0, minute=0, second=0), True
            year, month = divmod(local.month, 12)
            instant = _instant(local.replace(year=local.year + year, month=month + 1), zone)
        elif not _is_day(schedule, local):
            if not reset:
                local, reset = local.replace(hour=0, minute=0, second=0), True
            instant = _midnight(_instant(local + timedelta(days=1), zone), zone)
        elif local.hour not in schedule.hours:
            if not reset:
                instant, reset = _instant(local.replace(minute=0, second=0), zone), True
            instant += _HOUR
        elif local.minute not in schedule.minutes:
            if not reset:
                instant, reset = instant - instant % _MINUTE, True
            instant += _MINUTE
        elif local.second:
            instant, reset = instant + _MINUTE - local.second, True
        else:
            return float(instant)


def _is_day(schedule: Schedule, local: datetime) -> bool:
    day = local.day in schedule.days
    weekday = (local.weekday() + 1) % 7 in schedule.weekdays
    if schedule.any_day or schedule.any_weekday:
        return day and weekday
    return day or weekday


def _local(instant: int, zone: tzinfo) -> datetime:
    """What the zone's clocks show, without the zone."""
    return datetime.fromtimestamp(instant, zone).replace(tzinfo=None, fold=0)


def _instant(local: datetime, zone: tzinfo) -> int:
    """When the zone's clocks show that; where they never do, or twice, as Go's ``time.Date``."""
    clock = int(local.replace(tzinfo=UTC).timestamp())
    guess = clock - _offset(clock, zone)
    return clock - _offset(guess, zone)


def _offset(instant: int, zone: tzinfo) -> int:
    offset = datetime.fromtimestamp(instant, zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def _midnight(instant: int, zone: tzinfo) -> int:
    """The beginning of the day, where the clocks were changed at midnight."""
    hour = _local(instant, zone).hour
    if not hour:
        return instant
    return instant + (24 - hour) * _HOUR if hour > 12 else instant - hour * _HOUR
