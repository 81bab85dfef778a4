"""Functions on lists: Kubernetes' own, the list extension, sets, and those of comprehensions.

Out: ``KUBERNETES``, ``EXTENSION``, ``SETS``, ``MAP_INSERT``. Called by: ``versions``.
Rules: apiserver ``pkg/cel/library/lists``, cel-go ``ext/{lists,sets,comprehensions}``.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any, Final

from .. import types as t
from .. import values
from ..errors import EvalError, no_such_overload
from ..functions import Overload, define, method
from ..library_costs import SORTED
from ..values import Duration, Uint
from .standard import OVERLOADS as _STANDARD
from .standard import within

_TYPES: Final = {
    "int": t.INT, "uint": t.UINT, "double": t.DOUBLE, "bool": t.BOOL, "duration": t.DURATION,
    "timestamp": t.TIMESTAMP, "string": t.STRING, "bytes": t.BYTES,
}  # fmt: skip
_ZERO: Final[dict[str, Any]] = {
    "int": 0, "uint": Uint(0), "double": 0.0, "duration": Duration(0),
}  # fmt: skip
_ADD: Final = {
    "int": "add_int64", "uint": "add_uint64", "double": "add_double",
    "duration": "add_duration_duration",
}  # fmt: skip


def _is_sorted(items: list[Any]) -> bool:
    return all(values.compare(a, b) <= 0 for a, b in itertools.pairwise(items))


def _summing(kind: str) -> Callable[[list[Any]], Any]:
    add = next(o.impl for o in _STANDARD if o.id == _ADD[kind])
    assert add is not None
    return lambda items: functools.reduce(add, items, _ZERO[kind])


def _extreme(name: str, sign: int) -> Callable[[list[Any]], Any]:
    def find(items: list[Any]) -> Any:
        if not items:
            raise EvalError(f"{name} called on empty list")
        best = items[0]
        for x in items[1:]:
            if values.compare(best, x) == sign:
                best = x
        return best

    return find


def _index_of(items: list[Any], x: Any) -> int:
    return next((i for i, y in enumerate(items) if values.equal(y, x)), -1)


def _last_index_of(items: list[Any], x: Any) -> int:
    return next((i for i in range(len(items) - 1, -1, -1) if values.equal(items[i], x)), -1)


def _kubernetes() -> list[Overload]:
    out = []
    for kind, type_ in _TYPES.items():
        items = (t.list_of(type_),)
        out.append(method("isSorted", f"list_{kind}_is_sorted_bool", items, t.BOOL, _is_sorted))
        out.append(method("max", f"list_{kind}_max_{kind}", items, type_, _extreme("max", -1)))
        out.append(method("min", f"list_{kind}_min_{kind}", items, type_, _extreme("min", 1)))
    for kind in ("int", "uint", "double", "duration"):
        type_ = _TYPES[kind]
        items = (t.list_of(type_),)
        out.append(method("sum", f"list_{kind}_sum_{kind}", items, type_, _summing(kind)))
    args = (t.LIST_A, t.A)
    out.append(method("indexOf", "list_a_index_of_int", args, t.INT, _index_of))
    out.append(method("lastIndexOf", "list_a_last_index_of_int", args, t.INT, _last_index_of))
    return out


def _slice(items: list[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise EvalError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise EvalError(
            f"cannot slice({start}, {end}), start index must be less than or equal to end index"
        )
    if end > len(items):
        raise EvalError(f"cannot slice({start}, {end}), list is length {len(items)}")
    return list(items[start:end])


def _flatten(items: list[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise EvalError("level must be non-negative")
    out: list[Any] = []
    for x in items:
        if isinstance(x, list) and depth > 0:
            out.extend(_flatten(x, depth - 1))
        else:
            out.append(x)
    return out


def _sort(items: list[Any]) -> list[Any]:
    return _sort_by(items, items)


def _sort_by(items: list[Any], keys: list[Any]) -> list[Any]:
    if len(items) != len(keys):
        raise EvalError(
            "@sortByAssociatedKeys() expected a list of the same size as the associated keys list, "
            f"but got {len(items)} and {len(keys)} elements respectively"
        )
    if not keys:
        return items
    if any(type(k) is not type(keys[0]) for k in keys):
        raise EvalError("list elements must have the same type")
    by_key = functools.cmp_to_key(values.compare)
    return [items[i] for i in sorted(range(len(items)), key=lambda i: by_key(keys[i]))]


def _range(n: int) -> list[int]:
    if n > 1_000_000:  # its cost alone is more than any evaluation may have
        raise EvalError("operation cancelled: actual cost limit exceeded")
    return list(range(n))


def _distinct(items: list[Any]) -> list[Any]:
    out: list[Any] = []
    for x in items:
        if not within(x, out):
            out.append(x)
    return out


def _extension() -> list[Overload]:
    lists = (t.list_of(t.LIST_A),)
    dyn = t.list_of(t.DYN)
    out = [
        method("slice", "list_slice", (t.LIST_A, t.INT, t.INT), t.LIST_A, _slice),
        method("flatten", "list_flatten", lists, t.LIST_A, _flatten),
        method("flatten", "list_flatten_int", (dyn, t.INT), dyn, _flatten),
        define("lists.range", "lists_range", (t.INT,), t.list_of(t.INT), _range),
        method("reverse", "list_reverse", (t.LIST_A,), t.LIST_A, lambda v: v[::-1]),
        method("distinct", "list_distinct", (t.LIST_A,), t.LIST_A, _distinct),
    ]
    for kind, name in SORTED.items():
        items = t.list_of(_TYPES[kind])
        out.append(method("sort", f"list_{name}_sort", (items,), items, _sort))
        by = "@sortByAssociatedKeys"
        id_ = f"list_{name}_sortByAssociatedKeys"
        out.append(method(by, id_, (t.LIST_A, items), t.LIST_A, _sort_by))
    return out


def _contains(items: list[Any], sub: list[Any]) -> bool:
    return all(within(x, items) for x in sub)


def _intersects(a: list[Any], b: list[Any]) -> bool:
    return any(within(x, b) for x in a)


def _equivalent(a: list[Any], b: list[Any]) -> bool:
    return _contains(a, b) and _contains(b, a)


def _insert(m: dict[Any, Any], *entry: Any) -> dict[Any, Any]:
    new = {entry[0]: entry[1]} if len(entry) == 2 else entry[0]
    for k in new:
        if values.find(m, k)[0]:
            raise EvalError(f"insert failed: key {k} already exists")
    if not isinstance(m, dict):
        raise no_such_overload()
    return {**m, **new}


_TWO: Final = (t.LIST_A, t.LIST_A)
KUBERNETES: Final = _kubernetes()
EXTENSION: Final = _extension()
SETS: Final = [
    define("sets.contains", "list_sets_contains_list", _TWO, t.BOOL, _contains),
    define("sets.equivalent", "list_sets_equivalent_list", _TWO, t.BOOL, _equivalent),
    define("sets.intersects", "list_sets_intersects_list", _TWO, t.BOOL, _intersects),
]
MAP_INSERT: Final = [
    define("cel.@mapInsert", "@mapInsert_map_key_value", (t.MAP_AB, t.A, t.B), t.MAP_AB, _insert),
    define("cel.@mapInsert", "@mapInsert_map_map", (t.MAP_AB, t.MAP_AB), t.MAP_AB, _insert),
]
