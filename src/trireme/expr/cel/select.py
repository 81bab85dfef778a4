"""Selecting fields and elements: the steps of references.

In: the code of an operand and its static type. Out: code for the step, and whether that code
charges the step's cost itself (a step into an optional value costs only when there is something).
Called by: ``compiler``. Rules: cel-go ``interpreter/attributes``, apiserver ``common/values``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import types as t
from . import values
from .errors import EvalError
from .types import Adapter, Type
from .values import NONE, Optional, Struct

Run = Callable[[list[Any]], Any]
_MISSING: Any = object()


def _no_key(key: Any) -> EvalError:
    if isinstance(key, bool):
        key = "true" if key else "false"
    return EvalError(f"no such key: {key}")


def _step(type_: Type, name: str) -> tuple[str, Adapter | None]:
    """The JSON key of a field, and how its value is adapted."""
    if type_.kind == "struct":
        field = (type_.fields or {}).get(name)
        if field is not None:
            return field.key, field.type.leaf
    if type_.kind == "map":
        return name, type_.params[1].leaf
    return name, None


def _getter(type_: Type, name: str) -> Callable[[Any], Any]:
    """Takes the field from a value that is there; ``_MISSING`` when it has none."""
    key, leaf = _step(type_, name)
    is_struct = type_.kind == "struct"

    def get(v: Any) -> Any:
        if not isinstance(v, dict):
            return _MISSING
        x = v.get(name if type(v) is Struct else key, _MISSING)
        if x is None and is_struct and type(v) is dict:
            # JSON's null is no field; what an expression made has nulls.
            return _MISSING
        return x if leaf is None or x is _MISSING or x is None else leaf(x)

    return get


def field(operand: Run, type_: Type, name: str) -> tuple[Run, bool]:
    """``operand.name``."""
    inner, was_optional = t.unwrap_optional(type_)
    get = _getter(inner, name)
    if was_optional:
        return _if_there(operand, lambda s: get), True
    if type_.kind == "struct":
        key, leaf = _step(type_, name)

        def of_struct(s: list[Any]) -> Any:
            v = operand(s)
            if type(v) is dict:
                x = v.get(key)
                if x is not None:
                    return x if leaf is None else leaf(x)
            else:
                x = get(v)
                if x is not _MISSING:
                    return x
            raise _no_key(name)

        return of_struct, False

    def run(s: list[Any]) -> Any:
        v = operand(s)
        if type(v) is Optional:
            return _through(s, v, get)
        x = get(v)
        if x is _MISSING:
            raise _no_key(name)
        return x

    return run, False


def _through(s: list[Any], v: Optional, get: Callable[[Any], Any]) -> Optional:
    if v is NONE:
        return NONE
    x = get(v.value)
    return NONE if x is _MISSING else Optional(x)


def _if_there(operand: Run, getter: Callable[[list[Any]], Callable[[Any], Any]]) -> Run:
    """A step from an optional value, or to one: charged when it arrives."""

    def run(s: list[Any]) -> Any:
        v = operand(s)
        get = getter(s)
        if type(v) is Optional:
            if v is NONE:
                return NONE
            v = v.value
        x = get(v)
        if x is _MISSING:
            return NONE
        s[0] += 1
        return Optional(x)

    return run


def optional_field(operand: Run, type_: Type, name: str) -> Run:
    """``operand.?name``."""
    inner, _ = t.unwrap_optional(type_)
    get = _getter(inner, name)
    return _if_there(operand, lambda s: get)


def has(operand: Run, type_: Type, name: str) -> Run:
    """``has(operand.name)``."""
    inner, _ = t.unwrap_optional(type_)
    get = _getter(inner, name)

    def run(s: list[Any]) -> bool:
        v = operand(s)
        if type(v) is Optional:
            if v is NONE:
                return False
            v = v.value
        return get(v) is not _MISSING

    return run


def _element(leaf: Adapter | None, i: Any) -> Callable[[Any], Any]:
    """Takes the element ``i`` of a list or map; ``_MISSING`` when there is none."""

    def get(v: Any) -> Any:
        if isinstance(v, list):
            n = i
            if type(n) is float:
                if not n.is_integer():
                    raise EvalError(f"unsupported index value {values.double_text(n)} in list")
                n = int(n)
            elif type(n) is not int and type(n) is not values.Uint:
                raise EvalError(f"unsupported index type '{values.type_name(n)}' in list")
            if not 0 <= n < len(v):
                return _MISSING
            x = v[n]
        elif isinstance(v, dict):
            found, x = values.find(v, i)
            if not found:
                return _MISSING
        else:
            return _MISSING
        return x if leaf is None or x is None else leaf(x)

    return get


def index(operand: Run, at: Run, type_: Type, optional: bool, literal: Any) -> tuple[Run, bool]:
    """``operand[at]`` and ``operand[?at]``; ``literal`` is not None when ``at`` is fixed."""
    inner, was_optional = t.unwrap_optional(type_)
    leaf = inner.params[-1].leaf if inner.kind in ("list", "map") else None
    if optional or was_optional:
        return _if_there(operand, lambda s: _element(leaf, at(s))), True
    if inner.kind == "list" and leaf is None:

        def of_list(s: list[Any]) -> Any:
            v = operand(s)
            i = at(s)
            if type(i) is int and 0 <= i < len(v):
                return v[i]
            return _take(v, i, leaf)

        return of_list, False

    def run(s: list[Any]) -> Any:
        v = operand(s)
        i = at(s)
        if type(v) is Optional:
            return _through(s, v, _element(leaf, i))
        return _take(v, i, leaf)

    return run, False


def _take(v: Any, i: Any, leaf: Adapter | None) -> Any:
    x = _element(leaf, i)(v)
    if x is _MISSING:
        if isinstance(v, list):
            raise EvalError(f"index out of bounds: {i}")
        raise _no_key(i)
    return x
