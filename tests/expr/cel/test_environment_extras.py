"""What an environment may be given besides: macros, and types that it does not list."""

from __future__ import annotations

import pytest

from trireme.expr import cel
from trireme.expr.cel import macros
from trireme.expr.cel import types as t
from trireme.expr.cel.library import jsonpatch, objects


def test_bindings() -> None:
    env = cel.Environment({"x": t.INT}, extra_macros=macros.BINDINGS)
    program = env.compile("cel.bind(y, x + 1, y * y)")
    assert program.evaluate({"x": 2})[0] == 9
    with pytest.raises(cel.CelError, match="variable names must be simple identifiers"):
        env.compile("cel.bind(1, x, x)")
    with pytest.raises(cel.CelError, match="undeclared reference to 'bind'"):
        env.compile("x.bind(y, x, y)")
    with pytest.raises(cel.CelError):
        cel.Environment({"x": t.INT}).compile("cel.bind(y, x, y)")


def test_objects_have_any_field() -> None:
    types = objects.Types(jsonpatch.TYPES)
    env = cel.Environment({"object": t.DYN}, type_names=types)
    program = env.compile("Object{spec: Object.spec{replicas: object.x + 1}}")
    assert t.same(program.type, objects.OBJECT)
    assert program.evaluate({"object": {"x": 1}})[0] == {"spec": {"replicas": 2}}
    assert str(env.compile("[JSONPatch{op: 'test'}]").type) == "list(JSONPatch)"
    with pytest.raises(cel.CelError, match="undeclared reference to 'Objects'"):
        env.compile("Objects{}")


def test_any_is_no_range() -> None:
    env = cel.Environment({"x": t.Type("any"), "y": t.DYN})
    assert env.compile("y.all(i, i)").type.kind == "bool"
    with pytest.raises(cel.CelError, match="cannot be range of a comprehension"):
        env.compile("x.all(i, i)")
