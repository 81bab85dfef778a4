"""What changed between two instants: objects, their fields, and who wrote them.

In: all objects at both, and the journal. Out: ``Difference`` values in order of their keys. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from trireme.testing.journal import Change

_MISSING: Any = None


class Difference(msgspec.Struct, frozen=True):
    """``fields``: path -> (before, after), None where there is none; ``users`` wrote in between."""

    key: str
    fields: dict[str, tuple[Any, Any]]
    users: list[str]

    def __str__(self) -> str:
        lines = [f"{self.key} by {', '.join(self.users) or 'the API server'}"]
        lines += [f"  {path}: {old!r} -> {new!r}" for path, (old, new) in self.fields.items()]
        return "\n".join(lines)


def between(
    before: dict[str, Any], after: dict[str, Any], changes: Sequence[Change], last: int
) -> list[Difference]:
    """The objects that differ; versions and managed fields alone are no difference."""
    found = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key, {}), after.get(key, {})
        fields = dict(_fields(old, new, ""))
        if not fields:
            continue
        since = int(old.get("metadata", {}).get("resourceVersion", 0))
        users = [c.user for c in changes if c.key == key and since < c.revision <= last and c.user]
        found.append(Difference(key, fields, list(dict.fromkeys(users))))
    return found


def _fields(old: Any, new: Any, path: str) -> Iterator[tuple[str, tuple[Any, Any]]]:
    if path in ("metadata.resourceVersion", "metadata.managedFields") or old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            below = f"{path}.{name}" if path else name
            yield from _fields(old.get(name, _MISSING), new.get(name, _MISSING), below)
    else:
        yield path, (old, new)
