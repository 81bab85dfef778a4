"""Which fields an applied configuration names, and sets of fields seen through a schema.

In: the atom, a plain value or a set. Out: sets. Called by ``update``. Upstream:
structured-merge-diff ``typed.ToFieldSet``, ``ReconcileFieldSetWithSchema``,
``fieldpath.EnsureNamedFieldsAreMembers``.
"""

from __future__ import annotations

from typing import Any

from trireme.machinery.apply import elements
from trireme.machinery.apply.atom import DEDUCED, UNTYPED, Atom, ListRule, MapRule
from trireme.machinery.apply.fieldset import LEAF, SELF, Set


def collect(atom: Atom, value: Any) -> Set:
    """The fields that an object names. A struct's own field is not among them, only what is in it;
    a map's keys and a list's items are."""
    rule = atom.map
    if rule is None or rule.atomic or not isinstance(value, dict):
        return {}
    return _map(rule, value)


def _collect(atom: Atom, value: Any) -> Set | None:
    """The set at a value; LEAF for just itself, None for nothing."""
    kind = atom.kind_of(value)
    if kind == "map":
        rule = atom.map
        if rule is None or rule.atomic or not isinstance(value, dict):
            return LEAF
        return _map(rule, value) or None
    if kind == "list":
        items = atom.list
        if items is None or items.atomic or not isinstance(value, list):
            return LEAF
        return _list(items, value) or None
    return LEAF


def _map(rule: MapRule, value: dict[str, Any]) -> Set:
    result: Set = {}
    table = rule.table
    for key, item in value.items():
        entry = table.get(key)
        if type(item) is not dict and type(item) is not list:
            result[entry[0] if entry else f"f:{key}"] = LEAF
            continue
        below = _collect(entry[1] if entry else rule.element or DEDUCED, item)
        if entry is None or item == {}:
            below = {SELF: LEAF, **below} if below else LEAF
        if below is not None:
            result[entry[0] if entry else f"f:{key}"] = below
    return result


def _list(rule: ListRule, value: list[Any]) -> Set:
    result: Set = {}
    for element, items in elements.grouped(rule, value).items():
        below = _collect(rule.element, items[0]) if len(items) == 1 else None
        result[element] = {SELF: LEAF, **below} if below else LEAF
    return result


def with_named(items: Set, atom: Atom) -> Set:
    """The set, and every named field on the way to its members. A map's key or a list's item does
    not become a member by what is below it."""
    return _with_named(items, atom.map, atom.list)


def _with_named(items: Set, rule: MapRule | None, listed: ListRule | None) -> Set:
    result: Set = {}
    for element, below in items.items():
        if not below:
            result[element] = below
            continue
        atom, named = None, False
        if element[0] == "f":
            if rule is not None:
                key = element[2:]
                named = key in rule.fields
                atom = rule.fields.get(key) or rule.element
        elif element[0] == "k" and listed is not None:
            atom = listed.element
        inner = (
            _with_named(below, atom.map, atom.list)
            if atom is not None
            else _with_named(below, None, None)
        )
        result[element] = {SELF: LEAF, **inner} if named and SELF not in inner else inner
    return result


def reconciled(items: Set, atom: Atom) -> Set:
    """The set as the schema is now: below what has become atomic nothing has an owner of its own.

    The same object when nothing changes.
    """
    rule = atom.map
    if rule is None or _untyped(rule) or rule.atomic:
        return items
    return _reconciled_map(items, rule)


def _reconciled(items: Set, atom: Atom) -> Set:
    rule = atom.map
    if rule is not None:
        if _untyped(rule) or not items:
            return items
        return LEAF if rule.atomic else _reconciled_map(items, rule)
    if atom.scalar or atom.list is None or not items:
        return items
    if atom.list.atomic:
        return LEAF
    element = atom.list.element
    return _kept(items, {key: _reconciled(below, element) for key, below in items.items()})


def _reconciled_map(items: Set, rule: MapRule) -> Set:
    result: Set = {}
    for element, below in items.items():
        atom = None
        if element[0] == "f":
            atom = rule.fields.get(element[2:]) or rule.element
        result[element] = below if atom is None or not below else _reconciled(below, atom)
    return _kept(items, result)


def _kept(before: Set, after: Set) -> Set:
    return before if all(after[key] is below for key, below in before.items()) else after


def _untyped(rule: MapRule) -> bool:
    element = rule.element
    if rule.fields or element is None:
        return False
    return element is DEDUCED or element.scalar == UNTYPED
