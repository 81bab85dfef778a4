"""Canonical texts and plain defaults, in place, on a decoded object.

In: a struct fresh from ``decode``. Out: the same struct: quantities, times and durations in the
form that upstream stores, and the ``Default`` markers applied to what is absent. Called by: each
write, after decoding and before a kind's own defaults. Raises DecodeError for a malformed text,
since upstream finds those while it decodes.

One function is generated for each struct type, holding only the fields that need work and calling
only the functions of types that have some: a typical Pod costs a few microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final

import msgspec

from trireme.machinery import quantity, time
from trireme.machinery.schema import tree
from trireme.machinery.schema.decode import DecodeError
from trireme.machinery.schema.node import LIST, MAP, OBJECT, Node

_CANONICAL: Final[dict[str, Callable[[str], str]]] = {
    "quantity": quantity.canonical,
    "date-time": time.canonical,
    "micro-time": time.canonical_micro,
    "duration": time.canonical_duration,
}


def normalise(obj: msgspec.Struct) -> None:
    """Bring ``obj`` into canonical form, in place. Running it again changes nothing."""
    try:
        _compiled(type(obj))(obj)
    except ValueError as error:
        raise DecodeError(str(error)) from None


@cache
def _compiled(type_: type) -> Callable[[Any], None]:
    functions = _generate(_plans(type_))
    return functions.get(type_, _nothing)


def _nothing(obj: Any) -> None:
    return None


class _Plan(msgspec.Struct):
    """What one struct type needs: its own fields' work, and the fields that hold other structs."""

    lines: list[str] = []
    constants: dict[str, Any] = {}
    # Attribute, how its structs are reached ("one", "list" or "map"), nullable, their type.
    below: list[tuple[str, str, bool, type]] = []


def _plans(root: type) -> dict[type, _Plan]:
    """A plan for each struct type that can be reached from ``root`` and has work at or below it."""
    plans: dict[type, _Plan] = {}
    waiting = [root]
    while waiting:
        type_ = waiting.pop()
        if type_ not in plans:
            plans[type_] = _plan(type_)
            waiting += [child for *_, child in plans[type_].below]
    busy = {type_ for type_, plan in plans.items() if plan.lines}
    while True:
        more = {
            type_
            for type_, plan in plans.items()
            if type_ not in busy and any(child in busy for *_, child in plan.below)
        }
        if not more:
            return {type_: plan for type_, plan in plans.items() if type_ in busy}
        busy |= more


def _plan(type_: type[msgspec.Struct]) -> _Plan:
    plan = _Plan()
    nodes = tree.of(type_).fields
    names = zip(type_.__struct_fields__, type_.__struct_encode_fields__, strict=True)
    for attribute, wire in names:
        node = nodes[wire]
        plan.lines += _default_lines(plan, attribute, node)
        plan.lines += _format_lines(attribute, node)
        struct, reach = _struct_below(type_, attribute, node)
        if struct is not None:
            plan.below.append((attribute, reach, node.nullable, struct))
    return plan


def _default_lines(plan: _Plan, name: str, node: Node) -> Iterator[str]:
    if not node.has_default:
        return
    constant = f"default_{name}"
    plan.constants[constant] = node.default
    # A default that can be changed must not be shared between objects.
    fresh = f"copy({constant})" if isinstance(node.default, list | dict) else constant
    yield (
        f"if o.{name} is None: o.{name} = {fresh}"
        if node.nullable
        else (f"if not o.{name}: o.{name} = {fresh}")
    )


def _format_lines(name: str, node: Node) -> Iterator[str]:
    if node.format in _CANONICAL:
        # Year 1 is upstream's absent time, and leaves as null.
        empty = " or None" if node.nullable and "time" in node.format else ""
        function = _function(node.format)
        # A quantity that must be there is never absent: an empty text is a bad one.
        there = node.nullable or (node.required and node.format == "quantity")
        present = "v is not None" if there else "v"
        yield f"v = o.{name}"
        yield f"if {present}: o.{name} = {function}(v){empty}"
    elif node.item is not None and node.item.format in _CANONICAL:
        # A map of quantities is a ResourceList, which upstream rounds up to thousandths.
        rounded = node.kind == MAP and node.item.format == "quantity"
        function = "canonical_milli" if rounded else _function(node.item.format)
        zero = f" or {time.ZERO!r}" if node.item.format == "date-time" else ""
        yield f"v = o.{name}"
        yield "if v:"
        if node.kind == MAP:
            yield f" for k, t in v.items(): v[k] = {function}(t){zero}"
        else:
            yield f" o.{name} = [{function}(t){zero} for t in v]"


def _function(format_: str) -> str:
    return "canonical_" + format_.replace("-", "_")


def _struct_below(type_: type, name: str, node: Node) -> tuple[type | None, str]:
    """The struct type that a field holds, if it does, and how it is reached."""
    if node.kind == OBJECT:
        return tree.struct_of(node), "one"
    if node.kind in (LIST, MAP) and node.item is not None and node.item.kind == OBJECT:
        return tree.struct_of(node.item), node.kind
    if node.kind in (LIST, MAP) and node.item is not None and node.item.kind in (LIST, MAP):
        inner = node.item.item
        if inner is not None and (inner.format in _CANONICAL or inner.kind == OBJECT):
            raise TypeError(f"{type_.__name__}.{name}: nested containers are not canonicalised")
    return None, ""


def _generate(plans: dict[type, _Plan]) -> dict[type, Callable[[Any], None]]:
    """The functions of ``plans``, which call each other."""
    scope: dict[str, Any] = {"copy": _copy, "canonical_milli": quantity.canonical_milli}
    scope |= {_function(format_): function for format_, function in _CANONICAL.items()}
    titles = {type_: f"f{number}" for number, type_ in enumerate(plans)}
    source: list[str] = []
    for type_, plan in plans.items():
        title = titles[type_]
        body = [line.replace("default_", f"{title}_default_") for line in plan.lines]
        scope |= {f"{title}_{name}": value for name, value in plan.constants.items()}
        for attribute, reach, nullable, child in plan.below:
            if child in titles:
                body += _call_lines(attribute, reach, nullable, titles[child])
        source.append(f"def {title}(o):")
        source += [f" {line}" for line in body]
    exec("\n".join(source), scope)
    return {type_: scope[title] for type_, title in titles.items()}


def _call_lines(name: str, reach: str, nullable: bool, function: str) -> Iterator[str]:
    if reach == "one":
        yield f"v = o.{name}"
        yield f"if v is not None: {function}(v)" if nullable else f"{function}(v)"
        return
    values = f"o.{name}.values()" if reach == MAP else f"o.{name}"
    if nullable:
        yield f"if o.{name} is not None:"
        yield f" for v in {values}: {function}(v)"
    else:
        yield f"for v in {values}: {function}(v)"


def _copy(value: Any) -> Any:
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, dict) else value
