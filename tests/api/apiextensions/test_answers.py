"""Definitions and values get the errors that upstream gives, word for word.

``answers.json`` and ``updates.json`` hold cases and upstream's answers to them, taken from its
validation packages; the order of errors is not compared, since upstream's is that of Go's maps.
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
from trireme.api.apiextensions.v1.types import CustomResourceDefinition
from trireme.machinery.schema import decode, normalise

ANSWERS = json.loads(Path(__file__).with_name("answers.json").read_bytes())
UPDATES = json.loads(Path(__file__).with_name("updates.json").read_bytes())
SCHEMA = ANSWERS["schema"]
DEFINITIONS = [case for case in ANSWERS["cases"] if "definition" in case]
VALUES = [case for case in ANSWERS["cases"] if "value" in case]


def loaded(plain: dict[str, Any]) -> CustomResourceDefinition:
    obj, _ = decode.decode(msgspec.json.encode(plain), CustomResourceDefinition)
    normalise.normalise(obj)
    crd.RESOURCE.defaults(obj)
    return obj


@pytest.mark.parametrize("case", DEFINITIONS, ids=lambda case: str(case["errors"])[:60])
def test_definitions(case: dict[str, Any]) -> None:
    obj = loaded(case["definition"])
    assert sorted(map(str, crd.RESOURCE.validate(obj))) == case["errors"]


@pytest.mark.parametrize("case", UPDATES, ids=lambda case: str(case["errors"])[:60])
def test_updates(case: dict[str, Any]) -> None:
    new, old = loaded(case["definition"]), loaded(case["old"])
    assert sorted(map(str, crd.RESOURCE.update_errors(new, old))) == case["errors"]


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
    except metadata.BadMetadata as error:
        errs.append(error.error)
    default.default(value, node)
    assert value == case.get("result", case["value"])
    checker = Checker(SCHEMA)
    errs += checker.validate_update(value, old) if old else checker.validate(value)
    errs += metadata.validate(value, node)
    errs += lists.validate(value, node)
    ruled = rules.of(node, True)
    assert ruled is not None
    errs += ruled.validate(value, old, None, None)
    assert sorted(map(str, errs)) == case["errors"]
