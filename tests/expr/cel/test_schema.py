"""Types made from schemas: what they promise about sizes, and how values are read through them."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.expr.cel import CelError, Environment, EvalError, escape, schema_type, unescape

REQUEST = 3 * 1024 * 1024


def run(schema: dict[str, Any], text: str, value: Any, old: Any = None, root: bool = False) -> Any:
    decl = schema_type(schema, root)
    assert decl is not None
    env = Environment({"self": decl, "oldSelf": decl})
    return env.compile(text).evaluate({"self": value, "oldSelf": old})[0]


@pytest.mark.parametrize(
    ("schema", "limit", "smallest"),
    [
        ({"type": "string"}, REQUEST - 2, 2),
        ({"type": "string", "maxLength": 5}, 20, 2),
        ({"type": "string", "enum": ["ab", "é"]}, 2, 2),
        ({"type": "string", "format": "byte", "maxLength": 5}, 5, 2),
        ({"type": "string", "format": "date-time"}, 32, 21),
        ({"type": "string", "format": "date"}, 12, 12),
        ({"type": "string", "format": "duration"}, 32, 3),
        ({"type": "integer"}, 0, 1),
        ({"type": "boolean"}, 0, 4),
        ({"x-kubernetes-int-or-string": True}, REQUEST - 2, 1),
        ({"type": "array", "items": {"type": "string"}}, (REQUEST - 2) // 3, 2),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 4}, 4, 2),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, (REQUEST - 2) // 7, 2),
    ],
)
def test_sizes(schema: dict[str, Any], limit: int, smallest: int) -> None:
    decl = schema_type(schema)
    assert decl is not None
    assert (decl.max_elements, decl.min_size) == (limit, smallest)
    assert decl.max_cardinality == REQUEST // (smallest + 1)


def test_required_fields_without_default_make_the_smallest_object() -> None:
    schema = {
        "type": "object",
        "required": ["a", "b"],
        "properties": {
            "a": {"type": "string"},
            "b": {"type": "boolean", "default": True},
            "c": {"type": "string"},
        },
    }
    decl = schema_type(schema)
    assert decl is not None
    assert decl.min_size == 2 + 1 + 2 + 4


@pytest.mark.parametrize(
    "schema",
    [
        {"x-kubernetes-preserve-unknown-fields": True},
        {"type": "array"},
        {"type": "array", "items": {"x-kubernetes-preserve-unknown-fields": True}},
    ],
)
def test_what_expressions_cannot_see(schema: dict[str, Any]) -> None:
    assert schema_type(schema) is None


def test_a_resource_always_has_its_meta() -> None:
    value = {"apiVersion": "v1", "kind": "K", "metadata": {"name": "n", "labels": {}}}
    schema = {"type": "object", "properties": {"metadata": {"type": "object"}}}
    assert run(schema, "self.kind + self.metadata.name", value, root=True) == "Kn"
    with pytest.raises(CelError, match="undefined field 'labels'"):
        run(schema, "self.metadata.labels", value, root=True)


def test_null_is_absent_from_objects_but_present_in_lists() -> None:
    nullable = {"type": "string", "nullable": True}
    schema = {
        "type": "object",
        "properties": {"s": nullable, "l": {"type": "array", "items": nullable}},
    }
    assert run(schema, "has(self.s)", {"s": None}) is False
    with pytest.raises(EvalError, match="no such key: s"):
        run(schema, "self.s == 'x'", {"s": None})
    assert run(schema, "self.l.all(x, type(x) == null_type)", {"l": [None]}) is True


def test_times_within_lists_compare_as_times() -> None:
    times = {"type": "array", "items": {"type": "string", "format": "date-time"}}
    schema = {"type": "object", "properties": {"t": times}}
    new, old = {"t": ["2020-01-01T01:00:00+01:00"]}, {"t": ["2020-01-01T00:00:00Z"]}
    assert run(schema, "self.t == oldSelf.t", new, old) is True
    assert run(schema, "self == oldSelf", new, old) is True


def test_a_bad_time_fails_when_it_is_looked_at() -> None:
    schema = {
        "type": "object",
        "properties": {"d": {"type": "string", "format": "duration"}, "i": {"type": "integer"}},
    }
    assert run(schema, "self.i == 1", {"d": "soon", "i": 1}) is True
    with pytest.raises(EvalError, match="Invalid duration soon: unable to parse soon as duration"):
        run(schema, "self.d > duration('1s')", {"d": "soon"})


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("plain", "plain"),
        ("a-b", "a__dash__b"),
        ("a.b/c", "a__dot__b__slash__c"),
        ("a__b", "a__underscores__b"),
        ("namespace", "__namespace__"),
        ("_x", "_x"),
    ],
)
def test_escaping(name: str, identifier: str) -> None:
    assert escape(name) == identifier
    assert unescape(identifier) == name


@pytest.mark.parametrize("name", ["", "1a", "a b", "é", "a$"])
def test_names_that_no_expression_can_have(name: str) -> None:
    assert escape(name) is None


def test_identifiers_that_name_nothing() -> None:
    assert unescape("a__x__b") is None
    assert unescape("a__if__b") is None
