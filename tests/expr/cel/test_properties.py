"""Laws that hold for all values, against Python's own arithmetic and ordering."""

from __future__ import annotations

import operator
import re

from hypothesis import given
from hypothesis import strategies as st

from trireme.expr.cel import CelError, Duration, Environment, EvalError, Timestamp, Uint, types
from trireme.expr.cel import times as clock
from trireme.expr.cel.library import quantities

INTS = st.integers(-(2**63), 2**63 - 1)
EDGES = st.one_of(INTS, st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63), 2**31]))
ENV = Environment({"a": types.INT, "b": types.INT})
UENV = Environment({"a": types.UINT, "b": types.UINT})
OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul}
SIGNED = {op: ENV.compile(f"a {op} b") for op in (*OPERATIONS, "/", "%")}
UNSIGNED = {op: UENV.compile(f"a {op} b") for op in OPERATIONS}
RELATIONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
             "==": operator.eq, "!=": operator.ne}  # fmt: skip


@given(EDGES, EDGES, st.sampled_from(sorted(OPERATIONS)))
def test_integers_overflow_at_64_bits(a: int, b: int, op: str) -> None:
    expected = OPERATIONS[op](a, b)
    try:
        assert SIGNED[op].evaluate({"a": a, "b": b})[0] == expected
        assert -(2**63) <= expected < 2**63
    except EvalError as e:
        assert e.message == "integer overflow"
        assert not -(2**63) <= expected < 2**63


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.sampled_from(sorted(OPERATIONS)))
def test_unsigned_integers_overflow_at_64_bits(a: int, b: int, op: str) -> None:
    expected = OPERATIONS[op](a, b)
    try:
        value = UNSIGNED[op].evaluate({"a": Uint(a), "b": Uint(b)})[0]
        assert type(value) is Uint and value == expected
    except EvalError as e:
        assert e.message == "unsigned integer overflow"
        assert not 0 <= expected < 2**64


@given(EDGES, EDGES)
def test_division_rounds_towards_zero(a: int, b: int) -> None:
    try:
        quotient = SIGNED["/"].evaluate({"a": a, "b": b})[0]
        rest = SIGNED["%"].evaluate({"a": a, "b": b})[0]
    except EvalError as e:
        assert b == 0 or (a == -(2**63) and b == -1), e.message
        return
    assert quotient * b + rest == a
    assert abs(rest) < abs(b) and (rest == 0 or (rest < 0) == (a < 0))


@given(st.text(), st.text(), st.sampled_from(sorted(RELATIONS)))
def test_strings_are_ordered_by_code_points(a: str, b: str, op: str) -> None:
    env = Environment({"a": types.STRING, "b": types.STRING})
    value, cost = env.compile(f"a {op} b").evaluate({"a": a, "b": b})
    assert value is RELATIONS[op](a, b)
    assert cost >= 2


@given(st.lists(INTS))
def test_lists(items: list[int]) -> None:
    env = Environment({"self": types.list_of(types.INT)})

    def run(text: str) -> object:
        return env.compile(text).evaluate({"self": items}, 10**9)[0]

    assert run("self.sort()") == sorted(items)
    assert run("self.reverse()") == items[::-1]
    assert run("self.distinct()") == list(dict.fromkeys(items))
    assert run("self.isSorted()") is (items == sorted(items))
    assert run("self.all(x, x > 0)") is all(x > 0 for x in items)
    assert run("self.exists(x, x > 0)") is any(x > 0 for x in items)
    assert run("self.filter(x, x > 0)") == [x for x in items if x > 0]


@given(st.integers(-(2**63), 2**63 - 1))
def test_durations_survive_their_text_to_the_microsecond(ns: int) -> None:
    ns = ns // 10**6 // 1000 * 1000
    # The text is that of a float of seconds, as Go writes it.
    again = clock.parse_duration(clock.duration_text(Duration(ns)))
    assert abs(again.ns - ns) < 1000


@given(st.integers(-62135596800, 253402300799), st.integers(0, 10**9 - 1))
def test_timestamps_survive_their_text(seconds: int, nanos: int) -> None:
    t = Timestamp(seconds * 10**9 + nanos)
    assert clock.parse_timestamp(clock.timestamp_text(t)) == t


@given(st.text(max_size=30))
def test_any_text_is_a_program_or_refused(text: str) -> None:
    try:
        ENV.compile(text)
    except CelError as e:
        assert str(e).startswith("ERROR: <input>:") or e.kind == "program"


@given(st.text("ab1+-*/%&|?:!=<>()[]{}.,'\"\\ \n", max_size=25))
def test_any_punctuation_is_a_program_or_refused(text: str) -> None:
    try:
        ENV.compile(text)
    except CelError:
        pass


@given(st.integers(-(10**15), 10**15), st.sampled_from(["", "k", "M", "Ki", "Mi", "m", "e3"]))
def test_quantities(number: int, suffix: str) -> None:
    factor = {"": 1, "k": 10**3, "M": 10**6, "Ki": 2**10, "Mi": 2**20, "e3": 10**3}.get(suffix)
    q = quantities.parse(f"{number}{suffix}")
    if factor is not None and abs(number * factor) < 2**63:
        assert q.nanos == number * factor * 10**9
    elif suffix == "m":
        assert q.nanos == number * 10**6


@given(st.text("abc.*+?()[]|^$\\d", max_size=8), st.text("abcd", max_size=8))
def test_patterns_agree_with_python_where_both_accept(pattern: str, text: str) -> None:
    env = Environment({"p": types.STRING, "s": types.STRING})
    try:
        found = env.compile("s.matches(p)").evaluate({"p": pattern, "s": text})[0]
        expected = re.search(pattern, text)
    except (EvalError, re.error):
        return
    assert found is (expected is not None)
