"""``$(NAME)`` in commands, arguments, environment values and sub-paths. Pure.

In: a text and a mapping. Out: the text with every known reference replaced. Called by env/compute
and sync/container. Rules: ``$$`` is a ``$``, an unknown or unfinished reference stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(?:(\$)|\(([^)]*)\))", re.DOTALL)


def expand(text: str, *mappings: Mapping[str, str]) -> str:
    """``text`` with references looked up in ``mappings``, the first that knows one wins."""

    def value(found: re.Match[str]) -> str:
        if found.group(1):
            return "$"
        for mapping in mappings:
            if found.group(2) in mapping:
                return mapping[found.group(2)]
        return found.group(0)

    return _REFERENCE.sub(value, text)


def unresolved(text: str, mapping: Mapping[str, str]) -> list[str]:
    """The names that ``text`` refers to and ``mapping`` does not know."""
    return [
        found.group(2)
        for found in _REFERENCE.finditer(text)
        if not found.group(1) and found.group(2) not in mapping
    ]
