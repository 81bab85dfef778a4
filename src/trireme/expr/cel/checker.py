"""Types for every node of an expression, and the overloads of every call.

In: a parsed tree and the scope (variables, types, functions). Out: the same tree with ``type``,
``overloads`` and ``ref`` filled; all mistakes in one ``CelError``. Called by: ``environment``.
Rules: cel-go ``checker/checker``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from . import errors, unify, values
from . import types as t
from .ast import Call, Const, Fold, Ident, ListExpr, MapExpr, Node, Select, StructExpr
from .errors import Issue
from .functions import Overload, Registry
from .types import Type

_SELECT_OPTIONAL: Final = "_?._"

Names = Callable[[str], "Type | None"]


def check(
    text: str,
    node: Node,
    variables: Mapping[str, Type],
    type_names: Mapping[str, Type],
    functions: Registry,
) -> None:
    """Fills the tree. ``type_names`` are the types that an expression may name, by their names."""
    checker = _Checker(variables, type_names, functions)
    try:
        checker.check(node)
    except RecursionError:
        checker.issues.append(Issue(-1, "expression recursion limit exceeded: 250"))
    if checker.issues:
        raise errors.compile_error(text, checker.issues)
    for node in checker.nodes:
        if node.type.open:
            node.type = unify.substitute(checker.known, node.type, True)


class _Checker:
    def __init__(
        self,
        variables: Mapping[str, Type],
        type_names: Mapping[str, Type],
        functions: Registry,
    ) -> None:
        self.scopes: list[Mapping[str, Type]] = [variables]
        self.type_names = type_names
        self.functions = functions
        self.known: unify.Mapping = {}
        self.fresh = 0
        self.issues: list[Issue] = []
        self.nodes: list[Node] = []

    def check(self, node: Node) -> Type:
        """The type of ``node``, left on it."""
        result = _CHECKS[type(node)](self, node)
        node.type = result
        self.nodes.append(node)
        return result

    def error(self, pos: int, message: str) -> Type:
        self.issues.append(Issue(pos, message))
        return t.ERROR

    def mismatch(self, pos: int, expected: Type, found: Type) -> Type:
        return self.error(pos, f"expected type '{expected}' but found '{found}'")

    def undeclared(self, pos: int, name: str) -> Type:
        return self.error(pos, f"undeclared reference to '{name}' (in container '')")

    def fits(self, t1: Type, t2: Type) -> bool:
        known = unify.assignable(self.known, t1, t2)
        if known is None:
            return False
        self.known = known
        return True

    def new_variable(self) -> Type:
        self.fresh += 1
        return Type("param", f"_var{self.fresh - 1}")

    def resolve(self, type_: Type) -> Type:
        return unify.substitute(self.known, type_, False)

    # Leaves.

    def lookup(self, name: str) -> tuple[Type, values.TypeValue | None] | None:
        if name.startswith("."):
            name = name[1:]
            found = self.scopes[0].get(name)
            if found is not None:
                return found, None
        else:
            for scope in reversed(self.scopes):
                found = scope.get(name)
                if found is not None:
                    return found, None
        named = self.type_names.get(name)
        if named is not None:
            return t.type_of(named), values.TypeValue(name)
        return None

    def const(self, node: Const) -> Type:
        return _CONST_TYPES[type(node.value)]

    def ident(self, node: Ident) -> Type:
        found = self.lookup(node.name)
        if found is None:
            return self.undeclared(node.pos, node.name)
        node.name = node.name.removeprefix(".")
        node.ref = found[1] if found[1] is not None else node.name
        return found[0]

    # Selection.

    def select(self, node: Select) -> Type:
        qualified = None if node.test else _qualified(node)
        if qualified is not None:
            found = self.lookup(qualified)
            if found is not None:
                node.ref = found[1] if found[1] is not None else qualified
                return found[0]
        field = self.field(node.pos, node.operand, node.field, False)
        return t.BOOL if node.test else self.resolve(field)

    def field(self, pos: int, operand: Node, name: str, optional: bool) -> Type:
        operand_type = self.resolve(self.check(operand))
        target, was_optional = t.unwrap_optional(operand_type)
        if target.kind == "map":
            result = target.params[1]
        elif target.kind == "struct":
            field = (target.fields or {}).get(name)
            result = field.type if field is not None else t.ERROR
            if field is None:
                self.error(pos, f"undefined field '{name}'")
        elif target.kind == "param":
            self.fits(t.DYN, target)
            result = t.DYN
        else:
            if not t.is_dyn_or_error(target):
                self.error(pos, f"type '{target}' does not support field selection")
            result = t.DYN
        return t.optional_of(result) if was_optional or optional else result

    # Calls.

    def call(self, node: Call) -> Type:
        if node.function == _SELECT_OPTIONAL:
            field = node.args[1]
            assert isinstance(field, Const)
            field.type = t.STRING
            result = self.field(node.pos, node.args[0], field.value, True)
            node.overloads = tuple(self.functions.get(_SELECT_OPTIONAL) or ())
            return self.resolve(result)
        arg_types = [self.check(a) for a in node.args]
        if node.target is not None:
            prefix = _qualified(node.target)
            if prefix is not None:
                name = f"{prefix}.{node.function}"
                overloads = self.functions.get(name)
                if overloads is not None:
                    node.function, node.target = name.removeprefix("."), None
                    return self.overload(node, overloads, arg_types, None)
            target = self.check(node.target)
            overloads = self.functions.get(node.function)
            if overloads is None:
                return self.undeclared(node.pos, node.function)
            return self.overload(node, overloads, arg_types, target)
        overloads = self.functions.get(node.function)
        if overloads is None:
            return self.undeclared(node.pos, node.function)
        node.function = node.function.removeprefix(".")
        return self.overload(node, overloads, arg_types, None)

    def overload(
        self, node: Call, overloads: list[Overload], arg_types: list[Type], target: Type | None
    ) -> Type:
        if target is not None:
            arg_types = [target, *arg_types]
        if node.function in ("_&&_", "_||_"):
            return self.logic(node, overloads[0], arg_types)
        result: Type | None = None
        selected = []
        for o in overloads:
            if o.member != (target is not None):
                continue
            candidate, returns = self.instance(o)
            known = unify.assignable_all(self.known, arg_types, candidate)
            if known is None:
                continue
            self.known = known
            selected.append(o)
            this = self.resolve(returns)
            if result is None:
                result = this
            elif not t.is_dyn(result) and not t.same(this, result):
                result = t.DYN
        if result is None:
            return self.no_overload(node, arg_types, target is not None)
        node.overloads = tuple(selected)
        return result

    def logic(self, node: Call, overload: Overload, arg_types: list[Type]) -> Type:
        result = t.BOOL
        for arg, type_ in zip(node.args, arg_types, strict=True):
            if not self.fits(type_, t.BOOL):
                result = self.mismatch(arg.pos, t.BOOL, self.resolve(type_))
        node.overloads = (overload,)
        return result

    def instance(self, o: Overload) -> tuple[tuple[Type, ...], Type]:
        """The signature with parameters of its own."""
        if not o.open:
            return o.args, o.result
        fresh: unify.Mapping = {}
        for type_ in (*o.args, o.result):
            for part in t.walk(type_):
                if part.kind == "param" and part.name not in fresh:
                    fresh[part.name] = self.new_variable()
        args = tuple(unify.substitute(fresh, a, False) for a in o.args)
        return args, unify.substitute(fresh, o.result, False)

    def no_overload(self, node: Call, arg_types: list[Type], member: bool) -> Type:
        arguments = [str(unify.substitute(self.known, a, True)) for a in arg_types]
        first = f"{arguments[0]}." if member else ""
        signature = f"{first}({', '.join(arguments[1:] if member else arguments)})"
        message = f"found no matching overload for '{node.function}' applied to '{signature}'"
        return self.error(node.pos, message)

    # Literals of containers.

    def join(self, previous: Type | None, current: Type) -> Type:
        """The type of entries so far and one more; mixed literals are refused by ``validators``."""
        if previous is None:
            return current
        return unify.most_general(previous, current) if self.fits(previous, current) else t.DYN

    def entry(self, node: Node, optional: bool) -> Type:
        type_ = self.check(node)
        if optional:
            inner, was = t.unwrap_optional(type_)
            if not was and not t.is_dyn(inner):
                self.mismatch(node.pos, t.optional_of(inner), inner)
            return inner
        return type_

    def list(self, node: ListExpr) -> Type:
        elem: Type | None = None
        for i, e in enumerate(node.elems):
            elem = self.join(elem, self.entry(e, i in node.optionals))
        return t.list_of(elem if elem is not None else self.new_variable())

    def map(self, node: MapExpr) -> Type:
        key: Type | None = None
        value: Type | None = None
        for k, v, optional in node.entries:
            key = self.join(key, self.check(k))
            value = self.join(value, self.entry(v, optional))
        if key is None or value is None:
            return t.map_of(self.new_variable(), self.new_variable())
        return t.map_of(key, value)

    def struct(self, node: StructExpr) -> Type:
        found = self.lookup(node.name)
        result = t.ERROR
        if found is None:
            return self.undeclared(node.pos, node.name)
        node.name = node.name.removeprefix(".")
        if found[0].kind != "type":
            self.error(node.pos, f"'{found[0]}' is not a type")
        elif found[0].params and found[0].params[0].kind == "struct":
            result = found[0].params[0]
        else:
            self.error(node.pos, f"'{node.name}' is not a message type")
        for name, value, optional, pos in node.entries:
            type_ = self.entry(value, optional)
            field = (result.fields or {}).get(name) if result is not t.ERROR else None
            if field is None:
                self.error(pos, f"undefined field '{name}'")
            elif not self.fits(field.type, type_):
                self.error(
                    pos,
                    f"expected type of field '{name}' is '{field.type}' but provided type is "
                    f"'{type_}'",
                )
        return result

    # Comprehensions.

    def fold(self, node: Fold) -> Type:
        range_type = self.check(node.range)
        accu = self.check(node.init)
        range_type = self.resolve(range_type)
        self.scopes.append({node.accu: accu})
        first, second = self.variables(node, range_type)
        names = {node.var: first}
        if node.var2:
            names[node.var2] = second
        self.scopes.append(names)
        self.expect(node.cond, t.BOOL)
        self.expect(node.step, accu)
        self.scopes.pop()
        result = self.check(node.result)
        self.scopes.pop()
        return self.resolve(result)

    def variables(self, node: Fold, range_type: Type) -> tuple[Type, Type]:
        match range_type.kind:
            case "list":
                elem = range_type.params[0]
                return (t.INT, elem) if node.var2 else (elem, elem)
            case "map":
                return range_type.params[0], range_type.params[1]
            case "dyn" | "error" | "param":
                self.fits(t.DYN, range_type)
                return t.DYN, t.DYN
        self.error(
            node.range.pos,
            f"expression of type '{range_type}' cannot be range of a comprehension "
            "(must be list, map, or dynamic)",
        )
        return t.ERROR, t.ERROR

    def expect(self, node: Node, type_: Type) -> None:
        found = self.check(node)
        if not self.fits(type_, found):
            self.mismatch(node.pos, self.resolve(type_), self.resolve(found))


def _qualified(node: Node) -> str | None:
    """``a.b.c`` as one name."""
    if isinstance(node, Ident):
        return node.name
    if isinstance(node, Select) and not node.test:
        prefix = _qualified(node.operand)
        return f"{prefix}.{node.field}" if prefix is not None else None
    return None


_CONST_TYPES: Final[dict[type, Type]] = {
    bool: t.BOOL,
    int: t.INT,
    values.Uint: t.UINT,
    float: t.DOUBLE,
    str: t.STRING,
    bytes: t.BYTES,
    type(None): t.NULL,
}
# Each takes the nodes of its key.
_CHECKS: Final[dict[type[Node], Callable[[_Checker, Any], Type]]] = {
    Const: _Checker.const,
    Ident: _Checker.ident,
    Select: _Checker.select,
    Call: _Checker.call,
    ListExpr: _Checker.list,
    MapExpr: _Checker.map,
    StructExpr: _Checker.struct,
    Fold: _Checker.fold,
}
