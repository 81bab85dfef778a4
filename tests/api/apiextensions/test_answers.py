"""Definitions and values get the errors that upstream gives, word for word.

``answers.json`` holds cases and upstream's answers to them, taken from its validation packages;
the order of errors is not compared, since upstream's is that of Go's maps.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trireme.api.apiextensions.schema import default, lists, metadata, prune, rules, structural
from trireme.api.apiextensions.schema.openapi import Checker
from trireme.api.apiextensions.v1 import customresourcedefinition as crd
from trireme.machinery.schema import decode, normalise

ANSWERS = json.loads(Path(__file__).with_name("answers.json").read_bytes())
SCHEMA = ANSWERS["schema"]
DEFINITIONS = [case for case in ANSWERS["cases"] if "definition" in case]
VALUES = [case for case in ANSWERS["cases"] if "value" in case]


@pytest.mark.parametrize("case", DEFINITIONS, ids=lambda case: str(case["errors"])[:60])
def test_definitions(case: dict[str, Any]) -> None:
    data = msgspec.json.encode(case["definition"])
    obj, _ = decode.decode(data, crd.CustomResourceDefinition)
    normalise.normalise(obj)
    crd.RESOURCE.defaults(obj)
    assert sorted(map(str, crd.RESOURCE.validate(obj))) == case["errors"]


@pytest.mark.parametrize("case", VALUES, ids=lambda case: str(case["value"]["spec"])[:60])
def test_values(case: dict[str, Any]) -> None:
    node = structural.of(SCHEMA)
    value, _ = decode.untyped(json.dumps(case["value"]).encode())
    old = case.get("before")
    assert prune.prune(value, structural.as_root(node)) == case["pruned"]
    prune.prune_nulls(value, node)
    errs = []
    try:
        metadata.coerce(value, node, lenient=False)
    except metadata.BadMetadata as fault:
        errs.append(fault.error)
    default.default(value, node)
    assert value == case.get("result", case["value"])
    checker = Checker(SCHEMA)
    errs += checker.validate_update(value, old) if old else checker.validate(value)
    errs += metadata.validate(value, node)
    errs += lists.validate(value, node)
    ruled = rules.of(SCHEMA, True)
    assert ruled is not None
    errs += ruled.validate(value, old, None, None)
    assert sorted(map(str, errs)) == case["errors"]
