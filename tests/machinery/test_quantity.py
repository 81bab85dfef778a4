"""quantity: canonical texts as upstream prints them, rounding, arithmetic, refusals."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trireme.machinery import quantity

CANONICAL = """
0 0|0m 0|0Ki 0|+ 0|0.5 500m|1.5 1500m|1000m 1|100m 100m|2000m 2|0.001 1m
1024Mi 1Gi|1024 1024|1024Ki 1Mi|1Ki 1Ki|8Ki 8Ki|1000Ki 1000Ki|1025 1025|16385Ki 16385Ki
1.5Gi 1536Mi|2.5Gi 2560Mi|0.5Ki 512|0.1Ki 102400m|1.1Ki 1126400m|5Gi 5Gi
100Ei 9223372036854775807|1E 1E|10E 10E|1M 1M|1000k 1M|1234567k 1234567k
1e3 1e3|1e4 10e3|10e3 10e3|100e2 10e3|1.5e3 1500|1e1 10|1e-3 1e-3|1e-1 100e-3|1e21 1e21
1n 1n|0.1n 1n|1e-10 1e-9|1.0000000001 1000000001n|1u 1u|1000u 1m|999999u 999999u|0.0001m 100n
.5 500m|1.000 1|1000.5 1000500m
1.500 1.500|1. 1.|1e0 1e0|+5 +5|007 007|5E3 5E3|00.5 500m
"""
PAIRS = [pair.split() for line in CANONICAL.split("\n") if line for pair in line.split("|")]


@pytest.mark.parametrize(("text", "expected"), PAIRS)
def test_canonical(text: str, expected: str) -> None:
    assert quantity.canonical(text) == expected
    assert quantity.canonical(expected) == expected
    assert quantity.parse(text) == quantity.parse(expected) or text == "100Ei"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", quantity.FORMAT_ERROR),
        ("aoeu", quantity.FORMAT_ERROR),
        ("1.1.M", quantity.FORMAT_ERROR),
        ("1 0", quantity.FORMAT_ERROR),
        ("0.1mi", quantity.SUFFIX_ERROR),
        ("1e", quantity.SUFFIX_ERROR),
        ("1i", quantity.SUFFIX_ERROR),
        ("3-5", quantity.SUFFIX_ERROR),
        ("1e999999", quantity.NUMERIC_ERROR),
        ("1" * 5000, quantity.NUMERIC_ERROR),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        quantity.parse(text)
    assert str(caught.value) == message


def test_whitespace_is_trimmed_only_when_canonicalised() -> None:
    assert quantity.canonical(" 1024Mi ") == "1Gi"


def test_rounding_is_away_from_zero() -> None:
    assert quantity.parse("1001m").value() == 2
    assert quantity.parse("-1001m").value() == -2
    assert quantity.parse("1n").milli_value() == 1
    assert quantity.parse("2").milli_value() == 2000
    assert str(quantity.parse("100u").round_up(quantity.MILLI)) == "1m"
    assert quantity.canonical_milli("100u") == "1m"
    assert quantity.canonical_milli("1.500") == "1.500"


def test_arithmetic_keeps_the_format_of_the_first_that_is_not_zero() -> None:
    total = quantity.Quantity() + quantity.parse("512Mi") + quantity.parse("512M")
    assert total.format == quantity.BINARY_SI
    assert total.value() == 512 * 2**20 + 512 * 10**6
    assert str(quantity.parse("1Gi") - quantity.parse("512Mi")) == "512Mi"
    assert str(quantity.of(2**30, quantity.BINARY_SI)) == "1Gi"
    assert str(quantity.parse("250m") * 4) == "1"
    assert quantity.parse("1000m") == quantity.parse("1")
    assert hash(quantity.parse("1000m")) == hash(quantity.parse("1"))
    assert quantity.parse("999m") < quantity.parse("1")


numbers = st.decimals(min_value=0, max_value=10**9, places=3, allow_nan=False).map(str)
suffixes = st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3", "e-3", "E2"])
SCALE: dict[str, Any]
SCALE = {"": 1, "m": Fraction(1, 1000), "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10,
         "Mi": 2**20, "Gi": 2**30, "e3": 1000, "e-3": Fraction(1, 1000), "E2": 100}  # fmt: skip


@given(numbers, suffixes)
def test_value_and_text_agree_with_exact_fractions(number: str, suffix: str) -> None:
    exact = Fraction(number) * SCALE[suffix]
    quantity_ = quantity.parse(number + suffix)
    assert Fraction(quantity_.nanos, 10**9) == exact
    again = quantity.parse(str(quantity_))
    assert again == quantity_
    assert str(again) == str(quantity_)
