"""Expressions with what upstream's API server library made of them, recorded from a run of v1.36.

Each line of ``upstream.jsonl``: an expression, and either the error that refused it, or its type,
the least and most it was estimated to cost, and its value with its cost, or its error.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.expr.cel import recording

from trireme.expr.cel import CelError, EvalError

LINES = Path(__file__).with_name("upstream.jsonl").read_text().splitlines()
ENVIRONMENTS = recording.environments()


@pytest.mark.parametrize("recorded", [json.loads(line) for line in LINES], ids=lambda r: r["expr"])
def test_as_recorded(recorded: dict[str, Any]) -> None:
    env, bindings = ENVIRONMENTS[recorded.get("self", "")]
    if "refused" in recorded:
        with pytest.raises(CelError) as refused:
            env.compile(recorded["expr"])
        assert str(refused.value) == recorded["refused"]
        return
    program = env.compile(recorded["expr"])
    assert str(program.type) == recorded["type"]
    assert list(program.estimate()) == recorded["estimate"]
    if "error" in recorded:
        with pytest.raises(EvalError) as failed:
            program.evaluate(bindings)
        assert failed.value.message == recorded["error"]
        return
    value, cost = program.evaluate(bindings)
    assert (recording.printed(value), cost) == (recorded["value"], recorded["cost"])
