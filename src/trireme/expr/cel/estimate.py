"""The least and the most that an expression can cost, before any value is known.

In: a checked tree and the ``DeclType`` of each variable. Out: a ``Range``. Called by:
``environment``. Rules: cel-go ``checker/cost`` (whose quirks decide which CustomResourceDefinitions
are accepted, so they are kept), apiserver ``pkg/cel/library/cost``, apiextensions
``schema/cel/compilation``.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from . import library_costs
from . import types as t
from .ast import ACCU, Call, Const, Fold, Ident, ListExpr, MapExpr, Node, Select, StructExpr
from .library_costs import Arg, Path
from .schema import DeclType
from .sizes import (
    LIMIT,
    LIST_BASE,
    MAP_BASE,
    ONE,
    REGEX,
    STRUCT_BASE,
    TRAVERSAL,
    UNKNOWN,
    ZERO,
    Estimate,
    Range,
    fixed,
)
from .types import Type

_SCALARS = frozenset({"bool", "double", "duration", "int", "timestamp", "uint"})


class _Entry(NamedTuple):
    """The sizes of keys and values within a list or map."""

    kind: str
    key: Range
    value: Range


class _Local(NamedTuple):
    path: Path
    size: Range | None
    entry: _Entry | None


class Estimator:
    """One estimation. ``roots`` are the variables made from schemas; ``any_name``: a name that is
    none of them is taken for one, where all of them are of one schema."""

    def __init__(self, roots: Mapping[str, DeclType], any_name: bool = True) -> None:
        self.roots = roots
        # For the rules of CustomResourceDefinitions, upstream takes any name for a variable.
        one = any_name and len(set(roots.values())) == 1
        self.only = next(iter(roots.values())) if one else None
        self.paths: dict[Node, Path] = {}
        self.sizes: dict[Node, Range] = {}
        self.entries: dict[Node, _Entry] = {}
        self.locals: dict[str, list[_Local]] = {}

    # Sizes.

    def lookup(self, path: Path) -> Range | None:
        """The size that the schema promises for what lies at ``path``."""
        if not path:
            return None
        decl = self.only or self.roots.get(path[0])
        if decl is None:
            return None
        for name in path[1:]:
            if name in ("@items", "@values"):
                below = decl.elem
            elif name == "@keys":
                below = decl.key
            else:
                below = decl.fields.get(name) if decl.fields is not None else None
            if below is None:
                return None
            decl = below
        return Range(0, decl.max_elements)

    def path(self, node: Node) -> Path:
        if isinstance(node, Ident):
            stack = self.locals.get(node.name)
            if stack:
                return stack[-1].path
        return self.paths.get(node, ())

    def size(self, node: Node) -> Range | None:
        known = self.sizes.get(node)
        if known is not None:
            return known
        literal = _literal_size(node)
        if literal is not None:
            return literal
        promised = self.lookup(self.path(node))
        if promised is not None:
            self.sizes[node] = promised
            return promised
        if _is_scalar(node.type):
            return ONE
        if isinstance(node, Ident):
            stack = self.locals.get(node.name)
            if stack:
                return stack[-1].size
        return None

    def size_of(self, node: Node) -> Range:
        size = self.size(node)
        return UNKNOWN if size is None else size

    def entry(self, node: Node) -> _Entry | None:
        known = self.entries.get(node)
        if known is None and isinstance(node, Ident):
            stack = self.locals.get(node.name)
            if stack:
                return stack[-1].entry
        return known

    def arg(self, node: Node) -> Arg:
        path = self.path(node)
        if path and path[0] in (ACCU, "__result__"):
            path = ()
        return Arg(node.type, node, path, self.size(node))

    def arg_size(self, arg: Arg) -> Range:
        """The size of an argument for the estimates of the libraries."""
        if arg.computed is not None:
            return arg.computed
        return self.lookup(arg.path) or UNKNOWN

    def element(self, arg: Arg) -> Arg | None:
        """The elements of a list argument."""
        if not arg.type.params:
            return None
        path = (*arg.path, "@items") if arg.path else ()
        return Arg(arg.type.params[0], None, path, None)

    # Costs.

    def cost(self, node: Node) -> Range:
        """What evaluating ``node`` costs."""
        match node:
            case Const():
                return ZERO
            case Ident():
                stack = self.locals.get(node.name)
                self.paths[node] = stack[-1].path if stack else (node.name,)
                return ONE
            case Select():
                return self.select(node)
            case Call():
                return self.call(node)
            case Fold():
                return self.bind(node) if node.is_bind else self.fold(node)
            case ListExpr():
                return self.list(node)
            case MapExpr():
                return self.map(node)
            case StructExpr():
                total = fixed(STRUCT_BASE)
                for _, value, _, _ in node.entries:
                    total = total.plus(self.cost(value))
                return total
        raise TypeError(type(node))

    def select(self, node: Select) -> Range:
        if node.ref is not None:  # one qualified name
            self.paths[node] = (node.ref if isinstance(node.ref, str) else node.ref.name,)
            return ONE
        cost = self.cost(node.operand)
        if node.test:
            return cost
        if node.operand.type.kind in ("map", "struct", "param"):
            cost = cost.plus(ONE)
        self.paths[node] = (*self.path(node.operand), node.field)
        return cost

    def call(self, node: Call) -> Range:
        if node.function == "dyn":
            arg = node.args[0]
            cost = self.cost(arg).plus(ONE)
            self.copy_sizes(node, arg)
            return cost
        costs = [self.cost(a) for a in node.args]
        args = [self.arg(a) for a in node.args]
        if not node.overloads:
            return ZERO
        base, target = ZERO, None
        if node.target is not None:
            base = self.cost(node.target)
            target = self.arg(node.target)
        worst = Range(LIMIT, 0)
        size: Range | None = None
        for o in node.overloads:
            estimate = self.function(node, o.id, target, args, costs)
            worst = worst.union(estimate.cost)
            if estimate.size is not None:
                size = estimate.size if size is None else size.union(estimate.size)
            if o.id in ("index_list", "index_map"):
                entry = self.entry(node.args[0])
                size = entry.value if entry is not None else None
                step = "@items" if o.id == "index_list" else "@values"
                self.paths[node] = (*self.path(node.args[0]), step)
            if size is None:
                size = self.size(node)
        if size is not None:
            self.sizes[node] = size
        return base.plus(worst)

    def copy_sizes(self, to: Node, source: Node) -> None:
        size, entry = self.size(source), self.entry(source)
        if size is not None:
            self.sizes[to] = size
        if entry is not None:
            self.entries[to] = entry

    def list(self, node: ListExpr) -> Range:
        total = fixed(LIST_BASE)
        item = Range(LIMIT if node.elems else 0, 0)
        for e in node.elems:
            total = total.plus(self.cost(e))
            item = item.union(self.size_of(e))
        self.entries[node] = _Entry("list", ONE, item)
        return total

    def map(self, node: MapExpr) -> Range:
        total = fixed(MAP_BASE)
        key = value = Range(LIMIT if node.entries else 0, 0)
        for k, v, _ in node.entries:
            total = total.plus(self.cost(k)).plus(self.cost(v))
            key, value = key.union(self.size_of(k)), value.union(self.size_of(v))
        self.entries[node] = _Entry("map", key, value)
        return total

    def push(self, name: str, path: Path, size: Range | None, entry: _Entry | None = None) -> None:
        self.locals.setdefault(name, []).append(_Local(path, size, entry))

    def bind(self, node: Fold) -> Range:
        total = self.cost(node.range).plus(self.cost(node.init))
        self.push(node.accu, self.path(node.init), self.size(node.init), self.entry(node.init))
        total = total.plus(self.cost(node.result))
        self.locals[node.accu].pop()
        self.copy_sizes(node, node.result)
        return total

    def fold(self, node: Fold) -> Range:
        total = self.cost(node.range).plus(self.cost(node.init))
        self.push(node.accu, self.path(node.init), self.size(node.init), self.entry(node.init))
        entry = self.entry(node.range)
        is_list = (entry.kind if entry is not None else node.range.type.kind) == "list"
        path = self.path(node.range)
        key = entry.key if entry is not None else None
        value = entry.value if entry is not None else None
        if node.var2:
            self.push(node.var, (*path, "@indices" if is_list else "@keys"), key)
            self.push(node.var2, (*path, "@items" if is_list else "@values"), value)
        elif is_list:
            self.push(node.var, (*path, "@items"), value)
        else:
            self.push(node.var, (*path, "@keys"), key)
        loop = self.cost(node.cond)
        loop = self.cost(node.step).plus(loop)
        self.locals[node.var].pop()
        if node.var2:
            self.locals[node.var2].pop()
        total = total.plus(self.cost(node.result))
        self.locals[node.accu].pop()
        count = self.size_of(node.range)
        total = total.plus(count.times(loop))
        if isinstance(node.init, Const):
            size = self.size(node.init)
            if size is not None:
                self.sizes[node] = size
        elif isinstance(node.init, ListExpr | MapExpr):
            self.sizes[node] = count
            step = self.entry(node.step)
            if step is not None:
                self.entries[node] = step
        return total

    # Functions.

    def function(
        self,
        node: Call,
        id_: str,
        target: Arg | None,
        args: builtins.list[Arg],
        costs: Sequence[Range],
    ) -> Estimate:
        total = ZERO
        for c in costs:
            total = total.plus(c)
        special = library_costs.estimate(self, node.function, id_, target, args)
        if special is not None:
            return Estimate(special.cost.plus(total), special.size)
        known = self.builtin(node, id_, target, args, costs)
        if known is not None:
            cost = known.cost if id_ in _WHOLE else known.cost.plus(total)
            return Estimate(cost, known.size)
        return Estimate(ONE.plus(total))

    def builtin(
        self,
        node: Call,
        id_: str,
        target: Arg | None,
        args: builtins.list[Arg],
        costs: Sequence[Range],
    ) -> Estimate | None:
        sizes = [a.computed or UNKNOWN for a in args]
        match id_:
            case "string_format" if target is not None:
                return Estimate((target.computed or UNKNOWN).scaled(TRAVERSAL))
            case "string_to_bytes":
                up = sizes[0].max * 4 & LIMIT
                return Estimate(sizes[0].scaled(TRAVERSAL), Range(sizes[0].min, up))
            case "bytes_to_string":
                size = Range(sizes[0].min // 4, sizes[0].max)
                return Estimate(sizes[0].scaled(TRAVERSAL), size)
            case "strings_quote":
                size = Range(sizes[0].min + 2, sizes[0].max * 2 + 2 & LIMIT)
                return Estimate(sizes[0].scaled(TRAVERSAL), size)
            case "starts_with_string" | "ends_with_string":
                return Estimate(sizes[0].scaled(TRAVERSAL))
            case "in_list":
                return Estimate(sizes[1].scaled(1))
            case "matches_string" if target is not None:
                text = (target.computed or UNKNOWN).plus(ONE).scaled(TRAVERSAL)
                return Estimate(text.times(sizes[0].scaled(REGEX)))
            case "contains_string" if target is not None:
                text = (target.computed or UNKNOWN).scaled(TRAVERSAL)
                return Estimate(text.times(sizes[0].scaled(TRAVERSAL)))
            case "logical_or" | "logical_and":
                return Estimate(Range(costs[0].min, costs[0].plus(costs[1]).max))
            case "conditional":
                a, b = self.entry(node.args[1]), self.entry(node.args[2])
                if a is not None and b is not None:
                    self.entries[node] = _union(a, b)
                branches = costs[0].plus(costs[1].union(costs[2]))
                return Estimate(branches, sizes[1].union(sizes[2]))
            case "add_string" | "add_bytes" | "add_list":
                a, b = self.entry(node.args[0]), self.entry(node.args[1])
                if a is not None and b is not None:
                    self.entries[node] = _union(a, b)
                size = sizes[0].plus(sizes[1])
                cost = ONE if id_ == "add_list" else size.scaled(TRAVERSAL)
                return Estimate(cost, size)
        if id_ in _COMPARED:
            most = min(sizes[0].max, sizes[1].max)
            return Estimate(Range(1 if most > 0 else 0, most).scaled(TRAVERSAL))
        return None


_WHOLE = frozenset({"logical_or", "logical_and", "conditional"})
_COMPARED = frozenset(
    f"{word}_{kind}"
    for word in ("less", "less_equals", "greater", "greater_equals")
    for kind in ("string", "bytes")
) | {"equals", "not_equals"}


def _union(a: _Entry, b: _Entry) -> _Entry:
    return _Entry(a.kind, a.key.union(b.key), a.value.union(b.value))


def _literal_size(node: Node) -> Range | None:
    if isinstance(node, Const):
        value: Any = node.value
        return fixed(len(value)) if isinstance(value, str | bytes) else ONE
    if isinstance(node, ListExpr):
        return fixed(len(node.elems))
    if isinstance(node, MapExpr):
        return fixed(len(node.entries))
    return None


def _is_scalar(type_: Type) -> bool:
    inner, was_optional = t.unwrap_optional(type_)
    return _is_scalar(inner) if was_optional else type_.kind in _SCALARS
