"""Which fields differ between two forms of an object.

In: the atom and both values (plain JSON). Out: the sets of fields that were removed, modified and
added. Called by ``update``. Upstream: structured-merge-diff ``typed.Compare``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from trireme.machinery.apply import elements, fieldset
from trireme.machinery.apply.atom import DEDUCED, Atom, ListRule, MapRule
from trireme.machinery.apply.fieldset import LEAF, SELF, Set

ABSENT: Final = object()


@dataclass(slots=True)
class Comparison:
    """The differences, as sets of fields."""

    removed: Set
    modified: Set
    added: Set

    def without(self, excluded: Set) -> Comparison:
        """The differences outside of ``excluded`` and of all that is below it."""
        if not excluded:
            return self
        return Comparison(
            fieldset.recursive_difference(self.removed, excluded),
            fieldset.recursive_difference(self.modified, excluded),
            fieldset.recursive_difference(self.added, excluded),
        )

    @property
    def empty(self) -> bool:
        return not (self.removed or self.modified or self.added)


def compare(atom: Atom, old: Any, new: Any) -> Comparison:
    """The differences between two objects."""
    found = Comparison({}, {}, {})
    if old != new and atom.map is not None:
        _map(atom.map, old, new, found)
    return found


def whole(atom: Atom, value: Any) -> Set:
    """All fields of a value that only one side has, itself among them: what stands below its path
    element."""
    if type(value) is dict:
        rule = atom.map
        if rule is None or rule.atomic or not value:
            return LEAF
        table = rule.table
        result: Set = {SELF: LEAF}
        for key, item in value.items():
            entry = table.get(key)
            if type(item) is not dict and type(item) is not list:
                result[entry[0] if entry else f"f:{key}"] = LEAF
            elif entry:
                result[entry[0]] = whole(entry[1], item)
            else:
                result[f"f:{key}"] = whole(rule.element or DEDUCED, item)
        return result
    if type(value) is list:
        items = atom.list
        if items is None or items.atomic or not value:
            return LEAF
        result = {SELF: LEAF}
        for element, same in elements.grouped(items, value).items():
            result[element] = whole(items.element, same[0]) if len(same) == 1 else LEAF
        return result
    return LEAF


def _compare(atom: Atom, element: str, old: Any, new: Any, found: Comparison) -> None:
    """Differences at ``element`` below the place that ``found`` stands for."""
    if old is ABSENT:
        found.added[element] = whole(atom, new)
        return
    if new is ABSENT:
        found.removed[element] = whole(atom, old)
        return
    if old == new and type(old) is type(new):
        return
    was, now = atom.kind_of(old), atom.kind_of(new)
    if was != now and old is not None and new is not None:
        _as(was, atom, element, old, new, found)
    _as(was if new is None else now, atom, element, old, new, found)


def _as(kind: str, atom: Atom, element: str, old: Any, new: Any, found: Comparison) -> None:
    rule: MapRule | ListRule | None
    container: type[dict[str, Any]] | type[list[Any]]
    if kind == "map":
        rule, container = atom.map, dict
    elif kind == "list":
        rule, container = atom.list, list
    else:
        rule, container = None, list
    below: tuple[Any, Any] = (
        old if isinstance(old, container) else None,
        new if isinstance(new, container) else None,
    )
    if rule is None or rule.atomic or not (below[0] or below[1]):
        if _differ(old, new):
            found.modified[element] = LEAF
        return
    inner = Comparison({}, {}, {})
    if isinstance(rule, MapRule):
        _map(rule, below[0] or {}, below[1] or {}, inner)
    else:
        _list(rule, below[0] or [], below[1] or [], inner)
    for mine, outer in (
        (inner.removed, found.removed),
        (inner.modified, found.modified),
        (inner.added, found.added),
    ):
        if mine:
            outer[element] = mine


def _differ(old: Any, new: Any) -> bool:
    # True is 1 in Python, and not in JSON.
    return bool(old != new) or isinstance(old, bool) is not isinstance(new, bool)


def _map(rule: MapRule, old: dict[str, Any], new: dict[str, Any], found: Comparison) -> None:
    table = rule.table
    for key, item in new.items():
        before = old.get(key, ABSENT)
        if before is item or (before == item and type(before) is type(item)):
            continue
        entry = table.get(key)
        if entry is None:
            entry = (f"f:{key}", rule.element or DEDUCED)
        _compare(entry[1], entry[0], before, item, found)
    for key, item in old.items():
        if key not in new:
            found.removed[f"f:{key}"] = whole(rule.at(key), item)


def _list(rule: ListRule, old: list[Any], new: list[Any], found: Comparison) -> None:
    before, after = elements.grouped(rule, old), elements.grouped(rule, new)
    for element, items in after.items():
        was = before.get(element, ())
        if len(was) <= 1 and len(items) == 1:
            _compare(rule.element, element, was[0] if was else ABSENT, items[0], found)
        elif len(was) >= 2 and len(items) >= 2:
            if was != items:
                found.modified[element] = LEAF
        elif len(was) >= 2:
            # Duplicates before, one now: the item is new and the mark of the duplicates goes.
            found.added[element] = whole(rule.element, items[0])
            found.removed[element] = LEAF
        else:
            if was:
                found.removed[element] = whole(rule.element, was[0])
            found.added[element] = LEAF
    for element, items in before.items():
        if element not in after:
            found.removed[element] = whole(rule.element, items[0]) if len(items) == 1 else LEAF
