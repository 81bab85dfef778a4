"""The path elements of the items of a list that is a set or a map.

In: a ``ListRule`` and items. Out: elements as ``fieldset`` has them. Raises ValueError, with
upstream's words, for an item that has none. Called by every walk of ``apply``.
"""

from __future__ import annotations

from typing import Any

from trireme.machinery import gotext
from trireme.machinery.apply import fieldset
from trireme.machinery.apply.atom import ListRule


def of(rule: ListRule, item: Any) -> str:
    """The path element of an item."""
    keys = rule.keys
    if not keys:
        return _of_set(item)
    if type(item) is not dict:
        what = "a null element" if item is None else "non-map elements"
        raise ValueError(f"associative list with keys may not have {what}")
    if len(keys) == 1:
        [key] = keys
        value = item.get(key, _NONE)
        if type(value) is str and value.isalnum() and value.isascii():
            return f'k:{{"{key}":"{value}"}}'
    found = {key: item[key] for key in keys if key in item}
    if len(found) < len(keys):
        defaults = rule.defaults
        found |= {key: defaults[key] for key in keys if key not in found and key in defaults}
        if not found:
            quoted = "[" + " ".join(map(gotext.quote, keys)) + "]"
            raise ValueError(
                f"associative list with keys has an element that omits all key fields {quoted} "
                "(and doesn't have default values for any key fields)"
            )
    return fieldset.key_element(found)


_NONE = object()


def _of_set(item: Any) -> str:
    if isinstance(item, dict):
        raise ValueError("associative list without keys has an element that's a map type")
    if isinstance(item, list):
        raise ValueError("not supported: associative list with lists as elements")
    if item is None:
        raise ValueError("associative list without keys has an element that's an explicit null")
    return fieldset.value_element(item)


def grouped(rule: ListRule, items: list[Any]) -> dict[str, list[Any]]:
    """The items by path element, in order; several where the list has duplicates. Items without an
    element are left out."""
    found: dict[str, list[Any]] = {}
    for item in items:
        try:
            element = of(rule, item)
        except ValueError:
            continue
        found.setdefault(element, []).append(item)
    return found
