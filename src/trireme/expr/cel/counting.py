"""What a call costs, counted from its values.

In: a function and its overload. Out: a fixed number, or a function of arguments and result. Called
by: ``calls``. Rules: apiserver ``pkg/cel/library/cost``, cel-go ``interpreter/runtimecost``,
``ext/{lists,sets}``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from . import values
from .library_costs import AUTHZ, CHECK, NOMINAL, PARSED, SORTED, TRAVERSING, selector
from .sizes import LIST_BASE, REGEX, TRAVERSAL, fixed

Counter = Callable[[tuple[Any, ...], Any], int]
"""The cost of one call from its arguments (the target first) and its result."""


def _up(n: int, factor: float = TRAVERSAL) -> int:
    return math.ceil(n * factor)


_TENTHS: Final = tuple(_up(n) for n in range(256))


def traversal(v: Any) -> int:
    """What it costs to look at all of a value."""
    kind = type(v)
    if kind is str:
        return int(len(v.encode()) * TRAVERSAL)
    if kind is bytes:
        return int(len(v) * TRAVERSAL)
    if isinstance(v, list):
        return sum(map(traversal, v))
    if isinstance(v, dict):
        return sum(traversal(k) + traversal(x) for k, x in v.items())
    return 1


def _count_regex(args: tuple[Any, ...], result: Any) -> int:
    return _up(1 + values.size(args[0])) * _up(values.size(args[1]), REGEX)


def _count_contains_ip(args: tuple[Any, ...], result: Any) -> int:
    prefix, other = values.size(args[0]), args[1]
    return _up(2 * prefix) + (_up(len(other)) if type(other) is str else 0)


def _count_contains_cidr(args: tuple[Any, ...], result: Any) -> int:
    prefix, other = values.size(args[0]), args[1]
    parsing = _up(len(other)) if type(other) is str else 0
    return _up(2 * prefix) + _up(prefix) + 1 + parsing


def _count_validate(args: tuple[Any, ...], result: Any) -> int:
    return _up(1 + values.size(args[1])) * _up(args[0].regex_size, REGEX)


def _count_selector(args: tuple[Any, ...], result: Any) -> int:
    return selector(fixed(values.size(args[1]))).max


def _count_text(factor: float) -> Counter:
    return lambda args, result: _up(values.size(args[0]), factor)


def _count_smaller(args: tuple[Any, ...], result: Any) -> int:
    a, b = args
    if type(a) is str and type(b) is str:
        n = min(len(a), len(b))
        return _TENTHS[n] if n < 256 else _up(n)
    return _up(min(values.size(a), values.size(b)))


def _count_first(args: tuple[Any, ...], result: Any) -> int:
    n = len(args[0])
    return _TENTHS[n] if n < 256 else _up(n)


def _count_made(args: tuple[Any, ...], result: Any) -> int:
    return values.size(result) + 1 + LIST_BASE


def _count_flatten(args: tuple[Any, ...], result: Any) -> int:
    depth = float(args[1]) if len(args) == 2 else 1.0
    return int(values.size(args[0]) * depth) + 1 + LIST_BASE


def _count_square(of: int) -> Counter:
    def count(args: tuple[Any, ...], result: Any) -> int:
        items = args[of]
        factor = 2.0
        if items and type(items[0]) in (str, bytes):
            factor += TRAVERSAL
        return int(len(items) ** 2 * factor) + 1 + LIST_BASE

    return count


def _count_sets(factor: float) -> Counter:
    return lambda a, r: 1 + int(values.size(a[0]) * values.size(a[1]) * factor)


_COUNT_OVERLOAD: Final[dict[str, Counter]] = {
    "list_slice": _count_made,
    "lists_range": _count_made,
    "list_reverse": _count_made,
    "list_flatten": _count_flatten,
    "list_flatten_int": _count_flatten,
    "list_distinct": _count_square(0),
    **{f"list_{name}_sort": _count_square(0) for name in SORTED.values()},
    **{f"list_{name}_sortByAssociatedKeys": _count_square(1) for name in SORTED.values()},
    "list_sets_contains_list": _count_sets(1),
    "list_sets_intersects_list": _count_sets(1),
    "list_sets_equivalent_list": _count_sets(2),
}
_COUNT_NAME: Final[dict[str, Counter]] = {
    "fieldSelector": _count_selector,
    "labelSelector": _count_selector,
    **dict.fromkeys(TRAVERSING, lambda a, r: traversal(a[0])),
    **dict.fromkeys(
        ("url", "lowerAscii", "upperAscii", "substring", "trim", "jsonpatch.escapeKey", "ip"),
        _count_text(TRAVERSAL),
    ),
    **dict.fromkeys(PARSED, _count_text(TRAVERSAL)),
    **dict.fromkeys(("replace", "split", "ip.isCanonical"), _count_text(2 * TRAVERSAL)),
    "join": lambda a, r: _up(values.size(r), 2 * TRAVERSAL),
    "find": _count_regex,
    "findAll": _count_regex,
    "containsIP": _count_contains_ip,
    "containsCIDR": _count_contains_cidr,
    "validate": _count_validate,
}
_COUNT_BUILTIN: Final[dict[str, Counter]] = {
    **dict.fromkeys(
        ("starts_with_string", "ends_with_string", "string_to_bytes", "bytes_to_string",
         "strings_quote", "string_format"),
        _count_first,
    ),
    "in_list": lambda a, r: values.size(a[1]),
    **{
        f"{word}_{kind}": _count_smaller
        for word in ("less", "less_equals", "greater", "greater_equals")
        for kind in ("string", "bytes")
    },
    "not_equals": _count_smaller,
    "add_string": lambda a, r: _up(len(a[0]) + len(a[1])),
    "add_bytes": lambda a, r: _up(len(a[0]) + len(a[1])),
    "matches_string": _count_regex,
    "contains_string": lambda a, r: _up(len(a[0])) * _up(len(a[1])),
}  # fmt: skip


def _count_equal(args: tuple[Any, ...], result: Any) -> int:
    if isinstance(args[0], values.Opaque):
        return 1
    return _count_smaller(args, result)


_COUNT_BUILTIN["equals"] = _count_equal


def counter(function: str, id_: str) -> Counter | int:
    """How a call is counted: by a function of its values, or a fixed number."""
    special = _COUNT_OVERLOAD.get(id_)
    if special is not None:
        return special
    if function == "check":
        return CHECK
    if function in NOMINAL or function in AUTHZ or id_ == "cidr_ip":
        return 1
    named = _COUNT_NAME.get(function)
    if named is not None:
        return named
    return _COUNT_BUILTIN.get(id_, 1)
