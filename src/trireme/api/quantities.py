"""Warnings for quantities that are hardly intended, such as fractions of a byte.

In: the path of a map of quantities, and canonical texts that the rules let pass. Out: warnings.
Called by: the ``warnings`` of pods and claims. Upstream: pkg/api/{pod,persistentvolumeclaim}.
"""

from __future__ import annotations

from trireme.machinery import gotext, quantity
from trireme.machinery.field import Path


def byte_warnings(at: Path, quantities: dict[str, str], *names: str) -> list[str]:
    """Those of ``names`` that are no whole number of bytes."""
    return [
        f"{at.key(name)}: fractional byte value {gotext.quote(quantities[name])} is invalid, "
        "must be an integer"
        for name in names
        if name in quantities and _is_fraction(quantities[name])
    ]


def are_whole(quantities: dict[str, str], *names: str) -> bool:
    """Whether there is nothing to warn of, as is so for nearly all."""
    return not any(name in quantities and _is_fraction(quantities[name]) for name in names)


def _is_fraction(text: str) -> bool:
    if text.rstrip("EGKMPTik").isdecimal():
        return False
    return bool(quantity.parse(text).milli_value() % 1000)
