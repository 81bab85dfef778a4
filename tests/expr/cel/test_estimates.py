"""Estimates by schemas of many shapes, with what upstream's library said, recorded from v1.36."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trireme.expr.cel import Environment, schema_type

LINES = Path(__file__).with_name("estimates.jsonl").read_text().splitlines()


@pytest.mark.parametrize("number", range(len(LINES)))
def test_as_recorded(number: int) -> None:
    recorded: dict[str, Any] = json.loads(LINES[number])
    decl = schema_type(recorded["schema"])
    assert decl is not None
    program = Environment({"self": decl, "oldSelf": decl}).compile(recorded["expr"])
    assert list(program.estimate()) == recorded["estimate"]
    assert decl.max_cardinality == recorded["cardinality"]
