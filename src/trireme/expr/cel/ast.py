"""The tree of an expression, as the parser makes it and the checker annotates it.

Called by: every stage. ``pos`` is the code point offset that error messages point at; ``type`` and
``overloads`` are filled by the checker.
"""

from __future__ import annotations

from typing import Any

from .functions import Overload
from .types import Type


class Node:
    """What all nodes have."""

    __slots__ = ("overloads", "pos", "ref", "type")

    type: Type
    overloads: tuple[Overload, ...]

    def __init__(self, pos: int) -> None:
        self.pos = pos
        self.overloads = ()
        self.ref: Any = None


class Const(Node):
    """A literal."""

    __slots__ = ("value",)

    def __init__(self, pos: int, value: Any) -> None:
        super().__init__(pos)
        self.value = value


class Ident(Node):
    """A name; after the check ``ref`` is a ``TypeValue`` when it names a type."""

    __slots__ = ("name",)

    def __init__(self, pos: int, name: str) -> None:
        super().__init__(pos)
        self.name = name


class Select(Node):
    """``operand.field``, or with ``test`` the question whether it is there:
    ``has(operand.field)``."""

    __slots__ = ("field", "operand", "test")

    def __init__(self, pos: int, operand: Node, field: str, test: bool = False) -> None:
        super().__init__(pos)
        self.operand = operand
        self.field = field
        self.test = test


class Call(Node):
    """``function(args)`` or ``target.function(args)``; operators are functions such as ``_+_``."""

    __slots__ = ("args", "function", "target")

    def __init__(
        self, pos: int, function: str, args: list[Node], target: Node | None = None
    ) -> None:
        super().__init__(pos)
        self.function = function
        self.args = args
        self.target = target


class ListExpr(Node):
    """``[a, ?b]``; ``optionals`` are the indices with a question mark."""

    __slots__ = ("elems", "optionals")

    def __init__(
        self, pos: int, elems: list[Node], optionals: frozenset[int] = frozenset()
    ) -> None:
        super().__init__(pos)
        self.elems = elems
        self.optionals = optionals


class MapExpr(Node):
    """``{k: v, ?k: v}`` as (key, value, optional)."""

    __slots__ = ("entries",)

    def __init__(self, pos: int, entries: list[tuple[Node, Node, bool]]) -> None:
        super().__init__(pos)
        self.entries = entries


class StructExpr(Node):
    """``Name{field: v, ?field: v}`` as (field, value, optional, offset of the colon)."""

    __slots__ = ("entries", "name")

    def __init__(self, pos: int, name: str, entries: list[tuple[str, Node, bool, int]]) -> None:
        super().__init__(pos)
        self.name = name
        self.entries = entries


class Fold(Node):
    """What the comprehension macros expand to.

    For each element of ``range``, bound to ``var`` (and ``var2``), while ``cond``, the accumulator
    ``accu`` becomes ``step``; the value is ``result``. A *bind* is a fold over nothing whose
    accumulator is a local variable.
    """

    __slots__ = ("accu", "cond", "init", "range", "result", "step", "var", "var2")

    def __init__(
        self,
        pos: int,
        range_: Node,
        names: tuple[str, str, str],
        init: Node,
        cond: Node,
        step: Node,
        result: Node,
    ) -> None:
        super().__init__(pos)
        self.range = range_
        self.var, self.var2, self.accu = names
        self.init = init
        self.cond = cond
        self.step = step
        self.result = result

    @property
    def is_bind(self) -> bool:
        """Whether this only names a value."""
        return (
            isinstance(self.range, ListExpr)
            and not self.range.elems
            and isinstance(self.cond, Const)
            and self.cond.value is False
            and self.accu != ACCU
        )


ACCU = "@result"


def copy(node: Node) -> Node:
    """A deep copy that can be checked on its own."""
    pos = node.pos
    match node:
        case Const():
            return Const(pos, node.value)
        case Ident():
            return Ident(pos, node.name)
        case Select():
            return Select(pos, copy(node.operand), node.field, node.test)
        case Call():
            target = copy(node.target) if node.target is not None else None
            return Call(pos, node.function, [copy(a) for a in node.args], target)
        case ListExpr():
            return ListExpr(pos, [copy(e) for e in node.elems], node.optionals)
        case MapExpr():
            return MapExpr(pos, [(copy(k), copy(v), o) for k, v, o in node.entries])
        case StructExpr():
            return StructExpr(pos, node.name, [(f, copy(v), o, p) for f, v, o, p in node.entries])
        case Fold():
            return Fold(
                pos,
                copy(node.range),
                (node.var, node.var2, node.accu),
                copy(node.init),
                copy(node.cond),
                copy(node.step),
                copy(node.result),
            )
    raise TypeError(type(node))


def children(node: Node) -> list[Node]:
    """The nodes directly below."""
    match node:
        case Select():
            return [node.operand]
        case Call():
            return ([node.target] if node.target is not None else []) + node.args
        case ListExpr():
            return list(node.elems)
        case MapExpr():
            return [n for k, v, _ in node.entries for n in (k, v)]
        case StructExpr():
            return [v for _, v, _, _ in node.entries]
        case Fold():
            return [node.range, node.init, node.cond, node.step, node.result]
    return []
