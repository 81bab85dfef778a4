"""Does a configuration fit its schema, as far as merging needs it?

In: the atom and a plain value. Out: one message for each problem, with its path, in upstream's
words. Called for an applied configuration, which may hold no duplicates. Upstream:
structured-merge-diff ``typed.Validate``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trireme.machinery import gotext
from trireme.machinery.apply import elements, fieldset
from trireme.machinery.apply.atom import BOOLEAN, NUMERIC, STRING, UNTYPED, Atom, ListRule, MapRule


def problems(atom: Atom, value: Any) -> list[str]:
    """What is wrong; nothing when it fits."""
    if type(value) is dict and atom.map is not None and _fits(atom.map, value):
        return []
    return [f"{path}: {detail}" if path else detail for path, detail in _value(atom, value, "")]


def error_text(found: list[str]) -> str:
    """Several problems as one message."""
    if len(found) == 1:
        return found[0]
    return "\n  ".join(["errors:", *found])


def _fits(rule: MapRule, value: dict[str, Any]) -> bool:
    """The fast check, which most configurations pass; False when the full one must decide."""
    fields = rule.fields
    for key, item in value.items():
        atom = fields.get(key) or rule.element
        if atom is None or not _fitting(atom, item):
            return False
    return True


def _fitting(atom: Atom, item: Any) -> bool:
    kind = type(item)
    if kind is str:
        return atom.scalar == STRING or atom.scalar == UNTYPED
    if kind is dict:
        return atom.map is not None and _fits(atom.map, item)
    if kind is list:
        rule = atom.list
        if rule is None:
            return False
        element = rule.element
        if not rule.atomic:
            try:
                names = {elements.of(rule, each) for each in item}
            except ValueError:
                return False
            if len(names) < len(item):
                return False
        return all(_fitting(element, each) for each in item)
    if kind is bool:
        return atom.scalar == BOOLEAN or atom.scalar == UNTYPED
    if kind is int or kind is float:
        return atom.scalar == NUMERIC or atom.scalar == UNTYPED
    return item is None


def _value(atom: Atom, value: Any, at: str) -> Iterator[tuple[str, str]]:
    kind = atom.kind_of(value)
    if value is None:
        return
    if kind == "map":
        if not isinstance(value, dict):
            yield at, f"expected map, got {_go_text(value)}"
        elif atom.map is not None:
            yield from _map(atom.map, value, at)
    elif kind == "list":
        if not isinstance(value, list):
            yield at, f"expected list, got {_go_text(value)}"
        elif atom.list is not None:
            yield from _list(atom.list, value, at)
    else:
        detail = _scalar(atom.scalar, value)
        if detail:
            yield at, detail


def _map(rule: MapRule, value: dict[str, Any], at: str) -> Iterator[tuple[str, str]]:
    known = rule.fields
    for key, item in sorted(value.items()):
        atom = known.get(key) or rule.element
        if atom is None:
            yield f"{at}.{key}", "field not declared in schema"
            return
        if type(item) is str and (atom.scalar == STRING or atom.scalar == UNTYPED):
            continue
        yield from _value(atom, item, f"{at}.{key}")


def _list(rule: ListRule, value: list[Any], at: str) -> Iterator[tuple[str, str]]:
    known: set[str] = set()
    for position, item in enumerate(value):
        if rule.atomic:
            yield from _value(rule.element, item, f"{at}[{position}]")
            continue
        try:
            element = elements.of(rule, item)
        except ValueError as error:
            yield at, f"element {position}: {error}"
            return
        key = fieldset.element_text(element) if element in known else ""
        if key:
            yield at, f"duplicate entries for key {key}"
        known.add(element)
        for below, detail in _value(rule.element, item, ""):
            yield at + fieldset.element_text(element) + below, detail


def _scalar(kind: str, value: Any) -> str:
    if kind == NUMERIC:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"expected numeric (int or float), got {_type(value)}"
    elif kind == STRING:
        if not isinstance(value, str):
            return f"expected string, got &value.valueUnstructured{{Value:{gotext.value(value)}}}"
    elif kind == BOOLEAN:
        if not isinstance(value, bool):
            return f"expected boolean, got {_go_text(value)}"
    elif isinstance(value, dict | list):
        return f"expected any scalar, got {_go_text(value)}"
    return ""


def _type(value: Any) -> str:
    names = {str: "string", bool: "bool", dict: "map[string]interface {}", list: "[]interface {}"}
    return names.get(type(value), type(value).__name__)


def _go_text(value: Any) -> str:
    """A value as Go's ``%v`` prints the interface that holds it."""
    return f"&{{{gotext.plain(value)}}}"
