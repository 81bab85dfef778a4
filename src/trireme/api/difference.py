"""The difference of two objects, as upstream reports it for a refused change.

In: two structs of one type. Out: the lines of a unified diff. What is compared is what upstream's
internal types look like as JSON: every field, by its name in Go and in Go's order. Called by the
rules that refuse a change. Upstream: apimachinery ``util/diff``, pkg/apis/core/types.go.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from difflib import Match, SequenceMatcher
from typing import Any, Final

import msgspec

from trireme.machinery import internal

_CONTEXT: Final = 3
# Lines of either side that are compared, and how many may be looked at while they are: work on the
# loop stays bounded, whatever is sent.
LINES: Final = 2_000
_LOOKS: Final = 50_000


def text(old: Any, new: Any, only: Collection[str] = ()) -> str:
    """The diff of two structs or lists of them; ``only``: of which fields of a struct."""
    return "".join(unified(_lines(old, only), _lines(new, only)))


def _lines(value: Any, only: Collection[str]) -> list[str]:
    form = internal.form(value)
    if only:
        names = [internal.go_name(type(value).__name__, name) for name in only]
        form = {name: item for name, item in form.items() if name in names}
    printed = msgspec.json.format(msgspec.json.encode(form), indent=1).decode()
    for character, escape in (("&", "\\u0026"), ("<", "\\u003c"), (">", "\\u003e")):
        printed = printed.replace(character, escape)
    return [line + "\n" for line in printed.split("\n")]


def unified(old: list[str], new: list[str]) -> Iterator[str]:
    """The hunks of two lists of lines; of very long ones, of what lies around the differences."""
    start = 0
    if max(len(old), len(new)) > LINES:
        start, old, new = _changed_range(old, new)
    for group in _Matcher(old, new).get_grouped_opcodes(_CONTEXT):
        first, last = group[0], group[-1]
        ranges = (
            _range(first[1] + start, last[2] + start),
            _range(first[3] + start, last[4] + start),
        )
        yield f"@@ -{ranges[0]} +{ranges[1]} @@\n"
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                yield from (" " + line for line in old[i1:i2])
                continue
            yield from ("-" + line for line in old[i1:i2])
            yield from ("+" + line for line in new[j1:j2])


def _changed_range(old: list[str], new: list[str]) -> tuple[int, list[str], list[str]]:
    """What lies between the first and the last difference, no more than can be compared."""
    shorter = min(len(old), len(new))
    same = (position for position in range(shorter) if old[position] != new[position])
    first = next(same, shorter)
    tail = (n for n in range(shorter - first) if old[-1 - n] != new[-1 - n])
    behind = max(next(tail, shorter - first) - _CONTEXT, 0)
    start = max(first - _CONTEXT, 0)
    return (
        start,
        old[start : len(old) - behind][:LINES],
        new[start : len(new) - behind][:LINES],
    )


def _range(start: int, end: int) -> str:
    """As in ``diff -u``: a line and a count, which is left out where it is one."""
    if end - start == 1:
        return str(start + 1)
    return f"{start if start == end else start + 1},{end - start}"


class _Matcher(SequenceMatcher[str]):
    """Finds what two sides have in common until its budget is spent; the rest counts as new."""

    def __init__(self, old: list[str], new: list[str]) -> None:
        super().__init__(None, old, new)
        self._length = len(old)
        self._left = _LOOKS

    def find_longest_match(
        self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None
    ) -> Match:
        """As the base class does."""
        self._left -= (self._length if ahi is None else ahi) - alo
        if self._left < 0:
            return Match(alo, blo, 0)
        return super().find_longest_match(alo, ahi, blo, bhi)
