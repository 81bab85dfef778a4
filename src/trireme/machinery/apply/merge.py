"""The merge of an applied configuration into an object, and taking fields out of one again.

In: the atom and plain JSON values. Out: new plain values; arguments are not changed, but share
parts with the results. Called by ``update``. Upstream: structured-merge-diff ``typed.Merge``,
``typed.RemoveItems``.
"""

from __future__ import annotations

from typing import Any

from trireme.machinery.apply import elements
from trireme.machinery.apply.atom import Atom, ListRule, MapRule
from trireme.machinery.apply.compare import ABSENT
from trireme.machinery.apply.fieldset import SELF, Set


def merge(atom: Atom, live: Any, config: Any) -> Any:
    """``live`` with everything that ``config`` says. A null in ``config`` replaces a leaf, and
    leaves what has parts of its own as it is."""
    if live is ABSENT or config is ABSENT:
        return live if config is ABSENT else config
    if live == config:
        return config
    kind = atom.kind_of(live if config is None else config)
    if kind == "map":
        rule = atom.map
        old = live if isinstance(live, dict) else {}
        new = config if isinstance(config, dict) else {}
        if rule is None or rule.atomic or not (old or new):
            return config
        return _map(rule, old, new)
    if kind == "list":
        items = atom.list
        before = live if isinstance(live, list) else []
        after = config if isinstance(config, list) else []
        if items is None or items.atomic or not (before or after):
            return config
        return _list(items, before, after)
    return config


def _map(rule: MapRule, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    result = dict(old)
    for key, item in new.items():
        before = old.get(key, ABSENT)
        result[key] = item if before is ABSENT else merge(rule.at(key), before, item)
    return result


def _list(rule: ListRule, live: list[Any], config: list[Any]) -> list[Any]:
    """Items of both. Those of ``config`` keep its order; those that only ``live`` has keep their
    place relative to the shared ones. Duplicates in ``live`` are replaced by an item of config."""
    old = [elements.of(rule, item) for item in live]
    new = [elements.of(rule, item) for item in config]
    before: dict[str, Any] = {}
    for element, item in zip(old, live, strict=True):
        before[element] = None if element in before else item
    after = dict(zip(new, config, strict=True))

    def merged(element: str) -> Any:
        return merge(rule.element, before.get(element, ABSENT), after[element])

    shared = iter([element for element in new if element in before])
    expected = next(shared, None)
    result: list[Any] = []
    done: set[str] = set()
    left = right = 0
    while left < len(old) or right < len(new):
        if left < len(old) and right < len(new):
            element = old[left]
            if element == new[right]:
                done.add(element)
                result.append(merged(element))
                left, right = left + 1, right + 1
                expected = next(shared, None)
                continue
            if element in after and expected is not None and expected != element:
                # Shared, but not the next one of the shared: its turn comes with config's order.
                left += 1
                continue
        if left < len(old):
            element = old[left]
            if element not in after:
                result.append(live[left])
                left += 1
                continue
            if element in done:
                left += 1
        if right < len(new):
            element = new[right]
            done.add(element)
            result.append(merged(element))
            right += 1
            if expected == element:
                expected = next(shared, None)
    return result


def remove(atom: Atom, value: Any, items: Set) -> Any:
    """``value`` without the fields in ``items``; what loses all of its parts stays, empty."""
    kind = atom.kind_of(value)
    if kind == "map":
        if not isinstance(value, dict) or not value or atom.map is None or atom.map.atomic:
            return None
        return _remove_map(atom.map, value, items)
    if kind == "list":
        if not isinstance(value, list) or not value or atom.list is None or atom.list.atomic:
            return None
        return _remove_list(atom.list, value, items)
    return value


def _remove_map(rule: MapRule, value: dict[str, Any], items: Set) -> Any:
    result: dict[str, Any] = {}
    matched = False
    for key, item in value.items():
        below = items.get(f"f:{key}")
        if below is None:
            result[key] = item
        elif below and SELF not in below:
            matched = True
            result[key] = _remove_below(rule.at(key), item, below)
    return result if result or matched else None


def _remove_list(rule: ListRule, value: list[Any], items: Set) -> Any:
    result: list[Any] = []
    matched = False
    for item in value:
        below = items.get(elements.of(rule, item))
        if below is None:
            result.append(item)
        elif below and SELF not in below:
            matched = True
            result.append(_remove_below(rule.element, item, below))
    return result if result or matched else None


def _remove_below(atom: Atom, value: Any, items: Set) -> Any:
    left = remove(atom, value, items)
    if left is None and isinstance(value, dict | list):
        return type(value)()
    return left
