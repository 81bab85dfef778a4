"""What is said to who writes an amount that cannot be meant.

In: the place of a map of amounts, and canonical texts that the rules let pass. Out: warnings.
Called by: the ``warnings`` of pods and claims. Upstream: pkg/api/{pod,persistentvolumeclaim}.
"""

from __future__ import annotations

from trireme.machinery import gotext, quantity
from trireme.machinery.field import Path


def byte_warnings(at: Path, amounts: dict[str, str], *names: str) -> list[str]:
    """Those of ``names`` that are no whole number of bytes."""
    return [
        f"{at.key(name)}: fractional byte value {gotext.quote(amounts[name])} is invalid, must be "
        "an integer"
        for name in names
        if name in amounts and _is_fraction(amounts[name])
    ]


def are_whole(amounts: dict[str, str], *names: str) -> bool:
    """Whether there is nothing to warn of, as of nearly all amounts."""
    return not any(name in amounts and _is_fraction(amounts[name]) for name in names)


def _is_fraction(text: str) -> bool:
    if text.rstrip("EGKMPTik").isdecimal():
        return False
    return bool(quantity.parse(text).milli_value() % 1000)
