"""IntOrString: a number, or a percentage of something.

In: the ``int | str`` of a field (``maxSurge``, ``minAvailable``, a port). Out: numbers, or
errors about the form. Called by: validation, controllers, the proxy. Rules: apimachinery
``util/intstr``.
"""

from __future__ import annotations

import re
from typing import Final

from trireme.machinery import gotext, names

_INTEGER: Final = re.compile(r"[+-]?[0-9]+\Z", re.ASCII).match


def resolve(value: int | str, total: int, round_up: bool) -> int:
    """``value`` as a number; a percentage is taken of ``total``. Raises ValueError otherwise."""
    if isinstance(value, int):
        return value
    if not value.endswith("%"):
        raise ValueError("invalid value for IntOrString: invalid type: string is not a percentage")
    share = percent(value) * total
    return -(-share // 100) if round_up else share // 100


def percent(text: str) -> int:
    """The number before the ``%`` sign. Raises ValueError when there is none."""
    digits = text.removesuffix("%")
    if not _INTEGER(digits) or len(digits) > 19:
        detail = f"strconv.Atoi: parsing {gotext.quote(digits)}: invalid syntax"
        quoted = f"invalid value {gotext.quote(text)}: {detail}"
        raise ValueError(f"invalid value for IntOrString: {quoted}")
    return int(digits)


def is_percent(value: int | str) -> bool:
    """Whether the value is a text that validation takes for a percentage."""
    return isinstance(value, str) and not names.is_percent(value)


def parse(text: str) -> int | str:
    """A command line's text: a number when it is one that fits 32 bits, else the text."""
    if _INTEGER(text) and len(text) < 12 and -(2**31) <= int(text) < 2**31:
        return int(text)
    return text


def number(value: int | str) -> int:
    """The number, or that which the text spells, or 0: what upstream's ``IntValue`` gives."""
    if isinstance(value, int):
        return value
    return int(value) if _INTEGER(value) and len(value) < 20 else 0
