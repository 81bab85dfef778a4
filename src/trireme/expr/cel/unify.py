"""Which types fit where: assignability with type parameters.

In: two types and what is known of the parameters. Out: whether they fit, and what is known now.
Called by: the checker. Rules: cel-go ``checker/types`` and ``checker/mapping``.
"""

from __future__ import annotations

from . import types as t
from .types import Type

Mapping = dict[str, Type]

_NULLABLE = frozenset({"opaque", "struct", "any", "duration", "timestamp"})
_EXACT = frozenset(
    {"bool", "bytes", "double", "int", "string", "uint", "any", "duration", "timestamp", "struct"}
)


def assignable(m: Mapping, t1: Type, t2: Type) -> Mapping | None:
    """The knowledge of ``m`` and what makes ``t1`` fit ``t2``, or None when it does not fit."""
    if not (t1.open or t2.open):
        return m if _fits(m, t1, t2) else None
    copy = dict(m)
    return copy if _fits(copy, t1, t2) else None


def assignable_all(m: Mapping, left: list[Type], right: tuple[Type, ...]) -> Mapping | None:
    """As ``assignable``, for argument lists."""
    if len(left) != len(right):
        return None
    copy = dict(m)
    for t1, t2 in zip(left, right, strict=True):
        if not _fits(copy, t1, t2):
            return None
    return copy


def _fits(m: Mapping, t1: Type, t2: Type) -> bool:
    k1, k2 = t1.kind, t2.kind
    if k2 == "param":
        valid, known = _substitutes(m, t1, t2)
        if valid:
            return True
        if known:
            return False
    if k1 == "param":
        return _substitutes(m, t2, t1)[0]
    if t.is_dyn_or_error(t1) or t.is_dyn_or_error(t2):
        return True
    if k1 == "null_type":
        return k2 == "null_type" or k2 in _NULLABLE
    if k2 == "null_type":
        return k1 in _NULLABLE
    if k1 in _EXACT:
        return t.same(t1, t2)
    if k1 == "type":
        return k2 == "type"
    if k1 != k2 or t1.name != t2.name or len(t1.params) != len(t2.params):
        return False
    return all(_fits(m, p, q) for p, q in zip(t1.params, t2.params, strict=True))


def _substitutes(m: Mapping, t1: Type, param: Type) -> tuple[bool, bool]:
    """Whether ``t1`` may stand for ``param``, and whether something stands for it already."""
    if t1.kind == "param" and t1.name == param.name:
        return True, True
    known = m.get(param.name)
    if known is not None:
        if t.same(t1, known):
            return True, True
        if _fits(m, t1, known):
            general = most_general(t1, known)
            if _not_within(m, param, general):
                m[param.name] = general
            return True, True
        return False, True
    if _not_within(m, param, t1):
        m[param.name] = t1
        return True, False
    return False, False


def most_general(t1: Type, t2: Type) -> Type:
    """The more general of two types that fit each other."""
    return t1 if _less_specific(t1, t2) else t2


def _less_specific(t1: Type, t2: Type) -> bool:
    if t.is_dyn(t1) or t1.kind == "param":
        return True
    if t.is_dyn(t2) or t2.kind == "param" or t1.kind != t2.kind:
        return False
    if t1.kind in ("opaque", "list", "map"):
        if t1.name != t2.name or len(t1.params) != len(t2.params):
            return False
        return all(_less_specific(p, q) for p, q in zip(t1.params, t2.params, strict=True))
    return t1.kind == "type" or t.same(t1, t2)


def _not_within(m: Mapping, param: Type, within: Type) -> bool:
    if within.kind == "param":
        if within.name == param.name:
            return False
        known = m.get(within.name)
        return known is None or _not_within(m, param, known)
    return all(_not_within(m, param, p) for p in within.params)


def substitute(m: Mapping, type_: Type, to_dyn: bool) -> Type:
    """``type_`` with its parameters replaced by what is known, the unknown ones by dyn if asked."""
    if not type_.open:
        return type_
    if type_.kind == "param":
        known = m.get(type_.name)
        if known is not None:
            return substitute(m, known, to_dyn)
        return t.DYN if to_dyn else type_
    return Type(type_.kind, type_.name, tuple(substitute(m, p, to_dyn) for p in type_.params))
