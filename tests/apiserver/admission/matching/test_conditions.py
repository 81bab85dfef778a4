"""Match conditions: one that is false wins over all errors; errors are as the failure policy says.

Upstream: webhook/matchconditions matcher_test.
"""

from __future__ import annotations

from typing import Any

import pytest

from trireme.api.admissionregistration.v1.matching import MatchCondition
from trireme.apiserver.admission.matching.conditions import Conditions, EvaluationFailed

VARIABLES: dict[str, Any] = {"object": {"a": 1}, "oldObject": None, "request": {"name": "n"}}
FAILS = "object.b == 1"


def conditions(fails: bool, *texts: str) -> Conditions:
    items = [MatchCondition(name=f"c{i}", expression=text) for i, text in enumerate(texts)]
    return Conditions(items, fails=fails)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((), True),
        (("object.a == 1", "request.name == 'n'", "oldObject == null"), True),
        (("object.a == 1", "object.a == 2"), False),
        ((FAILS, "object.a == 2"), False),
    ],
)
@pytest.mark.parametrize("fails", [True, False])
def test_all_hold(texts: tuple[str, ...], expected: bool, fails: bool) -> None:
    assert conditions(fails, *texts).hold(VARIABLES) is expected


def test_an_error_fails_the_request_with_fail() -> None:
    with pytest.raises(EvaluationFailed) as caught:
        conditions(True, "object.a == 1", FAILS).hold(VARIABLES)
    assert str(caught.value) == f"expression '{FAILS}' resulted in error: no such key: b"


def test_several_errors_are_listed_once_each() -> None:
    with pytest.raises(EvaluationFailed) as caught:
        conditions(True, FAILS, "object.c == 1", FAILS).hold(VARIABLES)
    text = f"expression '{FAILS}' resulted in error: no such key: b"
    assert str(caught.value) == (
        f"[{text}, expression 'object.c == 1' resulted in error: no such key: c]"
    )


def test_an_error_skips_with_ignore() -> None:
    assert conditions(False, "object.a == 1", FAILS).hold(VARIABLES) is False


def test_all_conditions_share_one_budget() -> None:
    costly = "[0,1,2,3,4,5,6,7,8,9].all(a, [0,1,2,3,4,5,6,7,8,9].all(b, " * 2
    text = f"{costly} [0,1,2,3,4,5,6,7,8,9].all(c, object.a == 1) ))))"
    many = [text.replace("== 1", f"!= {i + 2}") for i in range(64)]
    with pytest.raises(EvaluationFailed, match="cost budget"):
        conditions(True, *many).hold(VARIABLES)
    assert conditions(False, *many).hold(VARIABLES) is False
