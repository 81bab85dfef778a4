"""Arithmetic on resource lists: quantities by the name of what they measure. Pure.

Upstream: apiserver ``quota/v1``, component-helpers ``resource``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from trireme.machinery import quantity
from trireme.machinery.quantity import Quantity

ResourceList = dict[str, Quantity]
ZERO = Quantity()


def parse(texts: Mapping[str, str]) -> ResourceList:
    """The quantities that an object writes as text."""
    return {name: quantity.parse(text) for name, text in texts.items()}


def texts(quantities: Mapping[str, Quantity]) -> dict[str, str]:
    """The text of each, as objects carry it."""
    return {name: str(amount) for name, amount in quantities.items()}


def add(one: Mapping[str, Quantity], other: Mapping[str, Quantity]) -> ResourceList:
    """The sum, name by name."""
    total = dict(one)
    for name, amount in other.items():
        total[name] = total[name] + amount if name in total else amount
    return total


def most(*lists: Mapping[str, Quantity]) -> ResourceList:
    """The largest of each name."""
    total: ResourceList = {}
    for quantities in lists:
        for name, amount in quantities.items():
            if name not in total or amount > total[name]:
                total[name] = amount
    return total


def excess(one: Mapping[str, Quantity], other: Mapping[str, Quantity]) -> ResourceList:
    """What ``one`` has more than ``other``; names of which it has no more are left out."""
    more = {name: amount - other.get(name, ZERO) for name, amount in one.items()}
    return {name: amount for name, amount in more.items() if amount > ZERO}


def mask(quantities: Mapping[str, Quantity], names: Iterable[str]) -> ResourceList:
    """Only these names."""
    kept = set(names)
    return {name: amount for name, amount in quantities.items() if name in kept}
