"""When schedules fire, also where clocks are changed; what a CronJob decides."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.controllers.cases import cronjob as case
from trireme.api.batch.v1.cronjob import CronJob, CronJobStatus
from trireme.api.batch.v1.job_types import Job
from trireme.api.core.v1.references import ObjectReference
from trireme.controllers.workloads.cronjob import compute_times, plan
from trireme.machinery import cron, meta, time


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def fires(schedule: str, after: str, zone: str = "UTC", times: int = 1) -> list[str]:
    found, place = cron.parse(schedule), zoneinfo.ZoneInfo(zone)
    seconds: float | None = moment(after)
    shown = []
    for _ in range(times):
        assert seconds is not None
        seconds = compute_times.following(found, place, seconds)
        if seconds is None:
            return [*shown, "never"]
        shown.append(datetime.fromtimestamp(seconds, place).strftime("%Y-%m-%d %H:%M %z"))
    return shown


# robfig/cron's own examples, and others.
@pytest.mark.parametrize(
    ("after", "schedule", "first"),
    [
        ("2012-07-09 14:45+00:00", "0/15 * * * *", "2012-07-09 15:00 +0000"),
        ("2012-07-09 14:59:59+00:00", "0/15 * * * *", "2012-07-09 15:00 +0000"),
        ("2012-07-09 15:45+00:00", "20-35/15 * * * *", "2012-07-09 16:20 +0000"),
        ("2012-07-09 23:46+00:00", "*/15 * * * *", "2012-07-10 00:00 +0000"),
        ("2012-07-09 23:45+00:00", "20-35/15 * * * *", "2012-07-10 00:20 +0000"),
        ("2012-07-09 23:35:51+00:00", "15/35 20-35/15 * * *", "never"),
        ("2012-07-09 23:35:51+00:00", "20-35/15 1/2 * * *", "2012-07-10 01:20 +0000"),
        ("2012-07-09 23:35:51+00:00", "20-35/15 10-12 * * *", "2012-07-10 10:20 +0000"),
        ("2012-07-09 23:35+00:00", "0 0 */5 Nov *", "2012-11-01 00:00 +0000"),
        ("2012-07-09 23:35+00:00", "0 0 * Feb Mon", "2013-02-04 00:00 +0000"),
        ("2012-07-09 23:35+00:00", "@monthly", "2012-08-01 00:00 +0000"),
        ("2012-07-09 23:35+00:00", "@weekly", "2012-07-15 00:00 +0000"),
        ("2012-07-09 23:35+00:00", "@yearly", "2013-01-01 00:00 +0000"),
        ("2012-07-09 23:35+00:00", "0 0 29 2 *", "2016-02-29 00:00 +0000"),
        ("2012-07-09 23:35+00:00", "0 0 31 2 *", "never"),
        # The 13th, or a Friday.
        ("2012-07-01 00:00+00:00", "0 0 13 * Fri", "2012-07-06 00:00 +0000"),
        ("2012-07-09 00:00+00:00", "0 0 13 * ?", "2012-07-13 00:00 +0000"),
        ("2012-07-09 10:00:00.5+00:00", "@every 90s", "2012-07-09 10:01 +0000"),
    ],
)  # fmt: skip
def test_the_next_time(after, schedule, first):
    if schedule == "15/35 20-35/15 * * *":
        with pytest.raises(ValueError, match="above maximum"):
            cron.parse(schedule)
        return
    assert fires(schedule, after) == [first]


@pytest.mark.parametrize(
    ("schedule", "after", "zone", "times"),
    [
        # New York, 2012-03-11: the clocks go from 2:00 to 3:00.
        ("0 * * * *", "2012-03-11 01:00-05:00", "America/New_York",
         ["2012-03-11 03:00 -0400", "2012-03-11 04:00 -0400"]),
        ("30 2 * * *", "2012-03-11 00:00-05:00", "America/New_York",
         ["2012-03-12 02:30 -0400"]),
        ("0 0 * * *", "2012-03-11 00:00-05:00", "America/New_York",
         ["2012-03-12 00:00 -0400"]),
        # New York, 2012-11-04: they go from 2:00 back to 1:00, and an hour comes twice.
        ("0 * * * *", "2012-11-04 00:00-04:00", "America/New_York",
         ["2012-11-04 01:00 -0400", "2012-11-04 01:00 -0500", "2012-11-04 02:00 -0500"]),
        ("0 1 * * *", "2012-11-04 00:00-04:00", "America/New_York",
         ["2012-11-04 01:00 -0400", "2012-11-04 01:00 -0500", "2012-11-05 01:00 -0500"]),
        ("0 0 * * *", "2012-11-04 00:00-04:00", "America/New_York", ["2012-11-05 00:00 -0500"]),
        # Sao Paulo, 2018-11-04: there is no midnight.
        ("0 10 * * *", "2018-11-03 11:00-03:00", "America/Sao_Paulo",
         ["2018-11-04 10:00 -0200", "2018-11-05 10:00 -0200"]),
        # Half an hour off.
        ("0 9 * * *", "2024-01-01 00:00+00:00", "Asia/Kolkata",
         ["2024-01-01 09:00 +0530", "2024-01-02 09:00 +0530"]),
    ],
)  # fmt: skip
def test_where_clocks_are_changed(schedule, after, zone, times):
    assert fires(schedule, after, zone, len(times)) == times


FIELDS = st.tuples(
    st.sampled_from(["*", "0", "7", "*/15", "5-50/7", "0,30"]),
    st.sampled_from(["*", "0", "3", "*/6", "9-17"]),
    st.sampled_from(["*", "1", "31", "*/10", "10-12"]),
    st.sampled_from(["*", "2", "*/3", "Jun"]),
    st.sampled_from(["*", "0", "Mon-Fri", "6"]),
)


@settings(max_examples=150, deadline=None)
@given(FIELDS, st.integers(0, 400 * 24 * 60))
def test_the_next_time_is_the_first_minute_that_fits(fields, minutes):
    """Against a search minute by minute, in UTC."""
    schedule = cron.parse(" ".join(fields))
    start = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    found = compute_times.following(schedule, UTC, start.timestamp())

    def fits(at: datetime) -> bool:
        day, weekday = at.day in schedule.days, at.isoweekday() % 7 in schedule.weekdays
        both = schedule.any_day or schedule.any_weekday
        return (
            at.month in schedule.months
            and (day and weekday if both else day or weekday)
            and at.hour in schedule.hours
            and at.minute in schedule.minutes
        )

    if found is None:
        return
    expected = datetime.fromtimestamp(found, UTC)
    assert fits(expected)
    # Looking through years would take long: what is before the day of the answer does not fit by
    # its day alone.
    day = start.replace(hour=0, minute=0) + timedelta(days=1)
    while day.date() < expected.date():
        assert not fits(day.replace(hour=min(schedule.hours), minute=min(schedule.minutes)))
        day += timedelta(days=1)
    at = max(start + timedelta(minutes=1), expected.replace(hour=0, minute=0))
    while at < expected:
        assert not fits(at), at
        at += timedelta(minutes=1)


@settings(max_examples=100, deadline=None)
@given(FIELDS, st.integers(0, 366 * 24 * 60), st.integers(0, 40 * 24 * 60))
def test_the_last_missed_time_is_found_without_going_through_all(fields, minutes, later):
    schedule = cron.parse(" ".join(fields))
    since = moment("2024-01-01 00:00+00:00") + 60.0 * minutes
    now = since + 60.0 * later
    try:
        found = compute_times.missed(schedule, UTC, since, now, None)
    except ValueError:
        return
    fires, last = compute_times.following(schedule, UTC, since), None
    while fires is not None and fires <= now:
        last, fires = fires, compute_times.following(schedule, UTC, fires)
    # As upstream, it may be overlooked where the times are far from regular.
    assert found.latest in (last, None)
    if found.number <= 1:
        assert found.latest == last


CREATED = moment("2024-01-01 10:00+00:00")


def cron_job(schedule: str = "0 * * * *", last: str | None = None, **spec) -> CronJob:
    found = case.manifest(schedule, **spec)
    found.metadata.uid, found.metadata.creationTimestamp = "c", time.format(CREATED)
    found.spec.concurrencyPolicy = spec.get("concurrencyPolicy", "Allow")
    if last is not None:
        found.status.lastScheduleTime = time.format(moment(last))
    return found


def decided(found: CronJob, now: str, active: int = 0) -> plan.Decision:
    references = [ObjectReference(name=f"old-{n}", uid=str(n)) for n in range(active)]
    status = msgspec.structs.replace(found.status, active=references)
    return plan.decide(found, status, UTC, moment(now))


def reasons(decision: plan.Decision) -> list[str]:
    return [reason for _, reason, _ in decision.events]


def test_a_job_starts_at_its_time_and_has_it_in_its_name():
    made = decided(cron_job(), "2024-01-01 11:00:00.2+00:00")
    job = made.start
    assert job is not None
    minutes = int(moment("2024-01-01 11:00+00:00")) // 60
    assert job.metadata.name == f"tick-{minutes}"
    assert job.metadata.annotations[plan.SCHEDULED] == "2024-01-01T11:00:00Z"
    # At the next full hour, with a little patience for clocks.
    assert made.revisit is not None
    assert made.revisit == pytest.approx(3599.9, abs=0.01)


@pytest.mark.parametrize(
    ("spec", "last", "now", "active", "starts", "said"),
    [
        ({}, None, "10:30", 0, None, []),
        ({}, None, "11:30", 0, "11:00", []),
        ({}, "11:00", "11:30", 0, None, []),
        # The latest of those that were missed.
        ({}, "11:00", "15:30", 0, "15:00", []),
        ({"startingDeadlineSeconds": 600}, "11:00", "15:05", 0, "15:00", []),
        ({"startingDeadlineSeconds": 600}, "11:00", "15:30", 0, None, []),
        ({"suspend": True}, None, "11:30", 0, None, []),
        ({"concurrencyPolicy": "Forbid"}, None, "11:30", 1, None, ["JobAlreadyActive"]),
        ({"concurrencyPolicy": "Forbid"}, None, "11:30", 0, "11:00", []),
        ({"concurrencyPolicy": "Replace"}, None, "11:30", 2, "11:00", []),
        ({"concurrencyPolicy": "Allow"}, None, "11:30", 3, "11:00", []),
        ({"schedule": "* * * * *"}, None, "12:30", 0, "12:30", ["TooManyMissedTimes"]),
        ({"schedule": "0 0 31 2 *"}, None, "12:30", 0, None, ["InvalidSchedule"]),
        ({"schedule": "x"}, None, "12:30", 0, None, ["UnparseableSchedule"]),
        ({"schedule": "TZ=UTC 0 * * * *"}, None, "11:30", 0, "11:00", ["UnsupportedSchedule"]),
        ({"schedule": "@every 25m"}, None, "11:30", 0, "11:15", []),
        ({"schedule": "30 6-16/4 * * 1-5"}, "10:30", "15:00", 0, "14:30", []),
    ],
)
def test_what_is_decided(spec, last, now, active, starts, said):
    day = "2024-01-01 "
    found = cron_job(last=None if last is None else f"{day}{last}+00:00", **spec)
    made = decided(found, f"{day}{now}:00.5+00:00", active)
    assert reasons(made) == said
    if starts is None:
        assert made.start is None
    else:
        assert made.scheduled == moment(f"{day}{starts}+00:00")
        assert len(made.replace) == (active if spec.get("concurrencyPolicy") == "Replace" else 0)


def test_a_time_that_came_too_late_is_said():
    """The deadline is looked at again after the search: the time is the last one before it."""
    found = cron_job("0 11 1 1 *", startingDeadlineSeconds=0)
    made = decided(found, "2024-01-01 11:00:00.5+00:00")
    assert made.start is None


def test_an_unknown_zone_is_said():
    found = cron_job(timeZone="Moon/Base")
    made = plan.decide(found, found.status, None, moment("2024-01-01 11:30+00:00"))
    message = 'invalid timeZone: "Moon/Base": unknown time zone Moon/Base'
    assert made.events == [("Warning", "UnknownTimeZone", message)]


def test_the_annotation_is_in_the_zone():
    zone = zoneinfo.ZoneInfo("Asia/Kolkata")
    made = plan.made(cron_job(), moment("2024-01-01 09:00+05:30"), zone)
    assert made.metadata.annotations[plan.SCHEDULED] == "2024-01-01T09:00:00+05:30"


def job(name: str, condition: str = "", minute: int = 0, **more) -> Job:
    conditions = [{"type": condition, "status": "True"}] if condition else []
    stamp = time.format(CREATED + 60 * minute)
    status = {"conditions": conditions, "startTime": stamp, "completionTime": stamp, **more}
    metadata = {"name": name, "namespace": "default", "uid": name}
    return msgspec.convert({"metadata": metadata, "status": status}, Job)


def test_what_became_of_the_jobs():
    found = cron_job(successfulJobsHistoryLimit=1, failedJobsHistoryLimit=0)
    found.status = CronJobStatus(
        active=[ObjectReference(name=n, uid=n) for n in ("done", "gone", "runs")]
    )
    owned = [
        job("done", "Complete", 9),
        job("older", "Complete", 3),
        job("failed", "Failed", 5),
        job("runs"),
        job("by-hand"),
    ]
    seen = plan.observe(found, owned)
    assert [item.uid for item in seen.status.active] == ["gone", "runs"]
    assert seen.status.lastSuccessfulTime == time.format(CREATED + 540)
    assert [item.metadata.name for item in seen.expired] == ["older", "failed"]
    assert [item.uid for item in seen.missing] == ["gone"]
    assert [item.metadata.name for item in seen.unexpected] == ["by-hand"]
    assert seen.events == [
        ("Normal", "SawCompletedJob", "Saw completed job: done, condition: Complete")
    ]
    plan.forget(seen, seen.missing[0])
    assert seen.events[-1] == ("Normal", "MissingJob", "Active job went missing: gone")
    assert [item.uid for item in seen.status.active] == ["runs"]
    assert [item.uid for item in found.status.active] == ["done", "gone", "runs"]


def test_one_that_is_deleted_starts_nothing():
    found = cron_job()
    found.metadata = meta.ObjectMeta(name="tick", deletionTimestamp=time.format(CREATED))
    assert decided(found, "2024-01-01 11:30+00:00") == plan.Decision([])
