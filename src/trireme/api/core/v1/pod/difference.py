"""How two specs differ, for people.

In: two structs of one type. Out: a few lines, each with the field's path and both values. Called
by: the rules that refuse a change of a pod. Upstream prints a diff here whose form varies from
build to build; ours names the fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

_LIMIT = 20


def text(old: Any, new: Any) -> str:
    """One line for each place where ``new`` differs from ``old``."""
    lines = []
    for path, before, after in _differences("", msgspec.to_builtins(old), msgspec.to_builtins(new)):
        if len(lines) == _LIMIT:
            lines.append("...")
            break
        lines.append(f"{path}: {_shown(before)} -> {_shown(after)}")
    return "\n".join(lines)


def _differences(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _differences(f"{path}.{key}" if path else key, old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for position, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _differences(f"{path}[{position}]", before, after)
    else:
        yield path, old, new


def _shown(value: Any) -> str:
    return "(unset)" if value is None else msgspec.json.encode(value).decode()
