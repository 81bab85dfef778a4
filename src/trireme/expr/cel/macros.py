"""The macros: calls that the parser replaces by comprehensions.

In: target and arguments. Out: the expanded tree. Called by: ``environment``, which picks the ones
of its version. Rules: cel-go ``parser/macro``, ``ext/comprehensions``, ``ext/lists``,
``cel/library``.
"""

from __future__ import annotations

from typing import Final

from .ast import ACCU, Call, Const, Fold, Ident, ListExpr, MapExpr, Node, Select, copy
from .parser import Macro, MacroError, MacroKey

_OLD_ACCU: Final = "__result__"
_ADD: Final = "_+_"
_UNUSED: Final = "#unused"


def _accu(pos: int) -> Node:
    return Ident(pos, ACCU)


def _variable(node: Node, message: str) -> str:
    if not isinstance(node, Ident):
        raise MacroError(node.pos, message)
    if node.name in (ACCU, _OLD_ACCU):
        raise MacroError(node.pos, "iteration variable overwrites accumulator variable")
    return node.name


def _variables(args: list[Node], two: bool) -> tuple[str, str, list[Node]]:
    """The iteration variables and the arguments that follow them."""
    if not two:
        return _variable(args[0], "argument must be a simple name"), "", args[1:]
    for arg in args[:2]:
        if not isinstance(arg, Ident):
            raise MacroError(arg.pos, "argument must be a simple name")
    first, second = args[0], args[1]
    assert isinstance(first, Ident) and isinstance(second, Ident)
    if first.name == second.name:
        raise MacroError(second.pos, f"duplicate variable name: {first.name}")
    return _variable(first, ""), _variable(second, ""), args[2:]


def _has(pos: int, target: Node | None, args: list[Node]) -> Node:
    arg = args[0]
    if isinstance(arg, Select) and not arg.test:
        return Select(pos, arg.operand, arg.field, test=True)
    raise MacroError(arg.pos, "invalid argument to has() macro")


def _all(pos: int, target: Node | None, args: list[Node], two: bool = False) -> Node:
    assert target is not None
    var, var2, (predicate,) = _variables(args, two)
    cond = Call(pos, "@not_strictly_false", [_accu(pos)])
    step = Call(pos, "_&&_", [_accu(pos), predicate])
    return Fold(pos, target, (var, var2, ACCU), Const(pos, True), cond, step, _accu(pos))


def _exists(pos: int, target: Node | None, args: list[Node], two: bool = False) -> Node:
    assert target is not None
    var, var2, (predicate,) = _variables(args, two)
    cond = Call(pos, "@not_strictly_false", [Call(pos, "!_", [_accu(pos)])])
    step = Call(pos, "_||_", [_accu(pos), predicate])
    return Fold(pos, target, (var, var2, ACCU), Const(pos, False), cond, step, _accu(pos))


def _exists_one(pos: int, target: Node | None, args: list[Node], two: bool = False) -> Node:
    assert target is not None
    var, var2, (predicate,) = _variables(args, two)
    more = Call(pos, _ADD, [_accu(pos), Const(pos, 1)])
    step = Call(pos, "_?_:_", [predicate, more, _accu(pos)])
    result = Call(pos, "_==_", [_accu(pos), Const(pos, 1)])
    names = (var, var2, ACCU)
    return Fold(pos, target, names, Const(pos, 0), Const(pos, True), step, result)


def _collect(
    pos: int, target: Node, names: tuple[str, str], predicate: Node | None, more: Node, init: Node
) -> Node:
    if predicate is not None:
        more = Call(pos, "_?_:_", [predicate, more, _accu(pos)])
    return Fold(pos, target, (*names, ACCU), init, Const(pos, True), more, _accu(pos))


def _append(pos: int, value: Node) -> Node:
    return Call(pos, _ADD, [_accu(pos), ListExpr(pos, [value])])


def _map(pos: int, target: Node | None, args: list[Node]) -> Node:
    assert target is not None
    var = _variable(args[0], "argument is not an identifier")
    predicate = args[1] if len(args) == 3 else None
    return _collect(
        pos, target, (var, ""), predicate, _append(pos, args[-1]), ListExpr(pos, [])
    )  # fmt: skip


def _filter(pos: int, target: Node | None, args: list[Node]) -> Node:
    assert target is not None
    var = _variable(args[0], "argument is not an identifier")
    return _collect(pos, target, (var, ""), args[1], _append(pos, args[0]), ListExpr(pos, []))


def _transform_list(pos: int, target: Node | None, args: list[Node]) -> Node:
    assert target is not None
    var, var2, rest = _variables(args, True)
    predicate = rest[0] if len(rest) == 2 else None
    return _collect(
        pos, target, (var, var2), predicate, _append(pos, rest[-1]), ListExpr(pos, [])
    )  # fmt: skip


def _transform_map(pos: int, target: Node | None, args: list[Node]) -> Node:
    assert target is not None
    var, var2, rest = _variables(args, True)
    predicate = rest[0] if len(rest) == 2 else None
    more = Call(pos, "cel.@mapInsert", [_accu(pos), Ident(pos, var), rest[-1]])
    return _collect(pos, target, (var, var2), predicate, more, MapExpr(pos, []))


def _transform_map_entry(pos: int, target: Node | None, args: list[Node]) -> Node:
    assert target is not None
    var, var2, rest = _variables(args, True)
    predicate = rest[0] if len(rest) == 2 else None
    more = Call(pos, "cel.@mapInsert", [_accu(pos), rest[-1]])
    return _collect(pos, target, (var, var2), predicate, more, MapExpr(pos, []))


def _bind(pos: int, name: str, value: Node, result: Node) -> Node:
    """``result`` with ``name`` for ``value``, evaluated at its first use."""
    return Fold(
        pos, ListExpr(pos, []), (_UNUSED, "", name), value, Const(pos, False), Ident(pos, name),
        result
    )  # fmt: skip


def _if_present(pos: int, target: Node | None, args: list[Node], name: str, wrap: bool) -> Node:
    assert target is not None
    var = args[0]
    if not isinstance(var, Ident):
        raise MacroError(var.pos, f"{name}() variable name must be a simple identifier")
    value = Call(pos, "value", [], copy(target))
    mapped: Node = _bind(pos, var.name, value, args[1])
    if wrap:
        mapped = Call(pos, "optional.of", [mapped])
    present = Call(pos, "hasValue", [], target)
    return Call(pos, "_?_:_", [present, mapped, Call(pos, "optional.none", [])])


def _opt_map(pos: int, target: Node | None, args: list[Node]) -> Node:
    return _if_present(pos, target, args, "optMap", True)


def _opt_flat_map(pos: int, target: Node | None, args: list[Node]) -> Node:
    return _if_present(pos, target, args, "optFlatMap", False)


def _sort_by(pos: int, target: Node | None, args: list[Node]) -> Node:
    assert target is not None
    if not isinstance(target, ListExpr | Select | Ident | Fold | Call):
        raise MacroError(
            target.pos,
            "sortBy can only be applied to a list, identifier, comprehension, call or select "
            "expression",
        )
    name = "@__sortBy_input__"
    keys = _map(pos, Ident(pos, name), args)
    return _bind(
        pos, name, target, Call(pos, "@sortByAssociatedKeys", [keys], Ident(pos, name))
    )  # fmt: skip


def _cel_bind(pos: int, target: Node | None, args: list[Node]) -> Node:
    if not isinstance(target, Ident) or target.name != "cel":
        return Call(pos, "bind", args, target)
    var, value, result = args
    if not isinstance(var, Ident):
        raise MacroError(var.pos, "cel.bind() variable names must be simple identifiers")
    return _bind(pos, var.name, value, result)


STANDARD: Final[dict[MacroKey, Macro]] = {
    ("has", 1, False): _has,
    ("all", 2, True): _all,
    ("exists", 2, True): _exists,
    ("exists_one", 2, True): _exists_one,
    ("existsOne", 2, True): _exists_one,
    ("map", 2, True): _map,
    ("map", 3, True): _map,
    ("filter", 2, True): _filter,
}
OPTIONAL: Final[dict[MacroKey, Macro]] = {
    ("optMap", 2, True): _opt_map,
    ("optFlatMap", 2, True): _opt_flat_map,
}
TWO_VARIABLES: Final[dict[MacroKey, Macro]] = {
    ("all", 3, True): lambda p, t, a: _all(p, t, a, True),
    ("exists", 3, True): lambda p, t, a: _exists(p, t, a, True),
    ("exists_one", 3, True): lambda p, t, a: _exists_one(p, t, a, True),
    ("existsOne", 3, True): lambda p, t, a: _exists_one(p, t, a, True),
    ("transformList", 3, True): _transform_list,
    ("transformList", 4, True): _transform_list,
    ("transformMap", 3, True): _transform_map,
    ("transformMap", 4, True): _transform_map,
    ("transformMapEntry", 3, True): _transform_map_entry,
    ("transformMapEntry", 4, True): _transform_map_entry,
}
LISTS: Final[dict[MacroKey, Macro]] = {("sortBy", 2, True): _sort_by}
BINDINGS: Final[dict[MacroKey, Macro]] = {("bind", 3, True): _cel_bind}
"""``cel.bind(name, value, expression)``; an environment gets it as ``extra_macros``."""
