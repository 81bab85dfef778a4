"""time and intstr: what is parsed, what is stored, what people read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trireme.machinery import intstr, time


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("2024-02-29T12:00:00Z", "2024-02-29T12:00:00Z"),
        ("2024-02-29T12:00:00.999Z", "2024-02-29T12:00:00Z"),
        ("2024-02-29T12:00:00+02:00", "2024-02-29T10:00:00Z"),
        ("2024-01-01T00:30:00+01:00", "2023-12-31T23:30:00Z"),
        ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59Z"),
        ("0001-01-01T00:00:00Z", ""),
        ("0001-01-01T00:00:02Z", "0001-01-01T00:00:02Z"),
    ],
)
def test_canonical_time(text: str, stored: str) -> None:
    assert time.canonical(text) == stored


LAYOUT = "2006-01-02T15:04:05Z07:00"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f'parsing time "" as "{LAYOUT}": cannot parse "" as "2006"'),
        ("abc", f'parsing time "abc" as "{LAYOUT}": cannot parse "abc" as "2006"'),
        ("2024-1-1", f'parsing time "2024-1-1" as "{LAYOUT}": cannot parse "1-1" as "01"'),
        (
            "2024-01-01 10:00:00Z",
            f'parsing time "2024-01-01 10:00:00Z" as "{LAYOUT}": cannot parse " 10:00:00Z" as "T"',
        ),
        (
            "2024-01-01T10:00:00",
            f'parsing time "2024-01-01T10:00:00" as "{LAYOUT}": cannot parse "" as "Z07:00"',
        ),
        ("2024-01-01T10:00:00Zx", 'parsing time "2024-01-01T10:00:00Zx": extra text: "x"'),
        ("2024-13-01T10:00:00Z", 'parsing time "2024-13-01T10:00:00Z": month out of range'),
        ("2024-02-30T10:00:00Z", 'parsing time "2024-02-30T10:00:00Z": day out of range'),
        ("2024-02-01T24:00:00Z", 'parsing time "2024-02-01T24:00:00Z": hour out of range'),
    ],
)
def test_bad_time(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        time.canonical(text)
    assert str(caught.value) == message


def test_micro_time_needs_six_digits() -> None:
    assert time.canonical_micro("2024-01-01T00:00:00.5000001Z"[:26] + "Z") == (
        "2024-01-01T00:00:00.500000Z"
    )
    assert time.canonical_micro("2024-01-01T01:00:00.000001+01:00") == "2024-01-01T00:00:00.000001Z"
    assert time.canonical_micro("0001-01-01T00:00:00.000000Z") == ""
    assert time.canonical_micro("0001-01-01T00:00:02.000000Z") == "0001-01-01T00:00:02.000000Z"
    with pytest.raises(ValueError, match=r'cannot parse "Z" as "\.000000"'):
        time.canonical_micro("2024-01-01T00:00:00Z")


def test_epoch() -> None:
    assert time.format(0) == "1970-01-01T00:00:00Z"
    assert time.format(1.999) == "1970-01-01T00:00:01Z"
    assert time.format_micro(1.5) == "1970-01-01T00:00:01.500000Z"
    assert time.parse("1970-01-01T00:00:01Z") == 1.0
    assert time.parse_micro("1970-01-01T00:00:01.250000Z") == 1.25


@given(
    st.datetimes(),
    st.lists(st.tuples(st.integers(0, 19), st.sampled_from("0129W-:TZtz +.,\u0661")), max_size=2),
)
def test_the_canonical_form_is_read_as_any_other(moment: datetime, changes: Any) -> None:
    text = list(moment.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0"))
    for place, character in changes:
        text[place] = character
    assert outcome(time.parse, "".join(text)) == outcome(slowly, "".join(text))


def slowly(text: str) -> float:
    return time._instant(text, time._time, time._LAYOUT).timestamp()


def outcome(parse: Callable[[str], float], text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        return str(error)


@given(st.integers(min_value=0, max_value=2**33))
def test_time_round_trip(seconds: int) -> None:
    assert time.parse(time.format(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("1h30m", "1h30m0s"),
        ("90s", "1m30s"),
        ("1.5s", "1.5s"),
        ("0", "0s"),
        ("100ms", "100ms"),
        ("1500us", "1.5ms"),
        ("3ns", "3ns"),
        ("-1.5h", "-1h30m0s"),
        (".5m", "30s"),
        ("+5s", "5s"),
        ("1500ns", "1.5µs"),
    ],
)
def test_duration(text: str, stored: str) -> None:
    assert time.canonical_duration(text) == stored
    assert time.canonical_duration(stored) == stored


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'time: invalid duration ""'),
        ("3", 'time: missing unit in duration "3"'),
        ("3x", 'time: unknown unit "x" in duration "3x"'),
        ("s", 'time: invalid duration "s"'),
        ("9999999h", 'time: invalid duration "9999999h"'),
    ],
)
def test_bad_duration(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        time.parse_duration(text)
    assert str(caught.value) == message


def test_duration_seconds() -> None:
    assert time.parse_duration("1m30s") == 90.0
    assert time.format_duration(0.25) == "250ms"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-2, "<invalid>"),
        (-1, "0s"),
        (0.9, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (600, "10m"),
        (10799, "179m"),
        (10800, "3h"),
        (11000, "3h3m"),
        (8 * 3600, "8h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (49 * 3600, "2d1h"),
        (8 * 86400, "8d"),
        (729 * 86400, "729d"),
        (730 * 86400, "2y"),
        (740 * 86400, "2y10d"),
        (3000 * 86400, "8y"),
    ],
)
def test_human_duration(seconds: float, text: str) -> None:
    assert time.human_duration(seconds) == text


def test_int_or_string() -> None:
    assert intstr.resolve(3, 10, True) == 3
    assert intstr.resolve("25%", 10, True) == 3
    assert intstr.resolve("25%", 10, False) == 2
    assert intstr.parse("80") == 80
    assert intstr.parse("http") == "http"
    assert intstr.number("80") == 80
    assert intstr.is_percent("25%") and not intstr.is_percent("x%") and not intstr.is_percent(5)
    with pytest.raises(ValueError, match="string is not a percentage"):
        intstr.resolve("25", 10, True)
    with pytest.raises(ValueError, match='invalid value "x%"'):
        intstr.resolve("x%", 10, True)
