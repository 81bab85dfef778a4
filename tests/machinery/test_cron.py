"""Schedules of CronJobs, as robfig/cron's standard parser reads them."""

from __future__ import annotations

import calendar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trireme.machinery import cron

MONTHS = list(calendar.month_abbr)[1:]
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


@pytest.mark.parametrize(("number", "name"), list(enumerate(MONTHS, 1)))
def test_a_month_has_a_name_and_a_number(number: int, name: str) -> None:
    for written in (name.lower(), name.upper(), str(number)):
        assert cron.parse(f"0 0 1 {written} *").months == {number}


@pytest.mark.parametrize(("number", "name"), list(enumerate(DAYS)))
def test_a_weekday_has_a_name_and_a_number(number: int, name: str) -> None:
    for written in (name, name.title(), str(number)):
        assert cron.parse(f"0 0 * * {written}").weekdays == {number}


@pytest.mark.parametrize(
    ("text", "months"),
    [
        ("jan-mar,DEC", {1, 2, 3, 12}),
        ("feb-12/5", {2, 7, 12}),
        ("*/4", {1, 5, 9}),
        ("10/1", {10, 11, 12}),
        ("?", set(range(1, 13))),
    ],
)
def test_names_and_numbers_mix_in_ranges(text: str, months: set[int]) -> None:
    assert cron.parse(f"0 0 1 {text} *").months == months


@given(low=st.integers(0, 59), width=st.integers(0, 59), step=st.integers(1, 70))
def test_a_range_is_what_it_counts(low: int, width: int, step: int) -> None:
    high = min(low + width, 59)
    text = f"{low}-{high}/{step} * * * *"
    assert cron.parse(text).minutes == {n for n in range(low, high + 1) if (n - low) % step == 0}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* * * dec-jan *", "beginning of range (12) beyond end of range (1): dec-jan"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        (
            "* * * sun *",
            'failed to parse int from sun: strconv.Atoi: parsing "sun": invalid syntax',
        ),
        ("@never", "unrecognized descriptor: @never"),
    ],
)
def test_what_is_no_schedule_is_refused(text: str, error: str) -> None:
    with pytest.raises(ValueError) as raised:
        cron.parse(text)
    assert str(raised.value) == error


def test_stars_are_remembered() -> None:
    every = cron.parse("0 0 * * *")
    assert (every.any_day, every.any_weekday) == (True, True)
    some = cron.parse("0 0 1 * */2")
    assert (some.any_day, some.any_weekday) == (False, False)
    assert cron.parse("@every 1m30s").every == 90.0
