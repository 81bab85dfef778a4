"""From a checked tree to closures that evaluate it and count what it costs.

In: a checked tree. Out: ``Code``: a function of a frame. A frame is a list: the cost so far, the
limit, then one slot per variable. Costs that do not depend on values are summed when the program is
made and charged once per branch, so counting is nearly free. Called by: ``environment``. Rules:
cel-go ``interpreter/{planner,interpretable,attributes,runtimecost}``, the optimisations included,
as they change costs: literals and conversions of literals are free.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from . import calls, counting, folds, select, values
from .ast import Call, Const, Fold, Ident, ListExpr, MapExpr, Node, Select, StructExpr
from .calls import COST, FIRST, UNSET, Code, Frame
from .errors import CelError, EvalError, no_such_overload
from .library.standard import CONVERSIONS
from .sizes import LIST_BASE, MAP_BASE, STRUCT_BASE


class Compiler:
    """The compilation of one expression. ``slots`` maps the names in scope to places in the
    frame."""

    def __init__(self, variables: dict[str, int]) -> None:
        self.slots = dict(variables)
        self.size = FIRST + len(variables)
        self.lazy: dict[str, tuple[int, Code]] = {}

    def compile(self, node: Node) -> Code:
        """The code for ``node``; ``CelError`` of kind ``program`` when a literal cannot be used."""
        return _COMPILE[type(node)](self, node)

    def value(self, node: Node) -> Code:
        """As ``compile``, for where the value leaves its static type: adapted with all inside."""
        code = self.compile(node)
        deep = node.type.deep
        if deep is None or node.type.kind not in ("list", "map", "struct"):
            return code
        run = code.run
        return code._replace(run=lambda s: deep(run(s)))

    def slot(self, name: str) -> tuple[int, int | None]:
        """A new slot for ``name``, and the one that it hides."""
        hidden = self.slots.get(name)
        self.slots[name] = self.size
        self.size += 1
        return self.slots[name], hidden

    def restore_slot(self, name: str, hidden: int | None) -> None:
        if hidden is None:
            del self.slots[name]
        else:
            self.slots[name] = hidden

    # Leaves and references.

    def const(self, node: Const) -> Code:
        return calls.constant(node.value)

    def ident(self, node: Ident) -> Code:
        return self.named(node.ref if node.ref is not None else node.name)

    def named(self, ref: Any) -> Code:
        if isinstance(ref, values.TypeValue):
            return calls.constant(ref)
        if ref in self.lazy:
            return self.bound(ref)
        i = self.slots[ref]

        def run(s: Frame) -> Any:
            return s[i]

        return Code(run, 1, True, 1)

    def bound(self, name: str) -> Code:
        i, init = self.lazy[name]
        first, cost = init.run, init.cost

        def run(s: Frame) -> Any:
            v = s[i]
            if v is UNSET:
                s[COST] += cost
                v = s[i] = first(s)
            return v

        return Code(run, 1, True, 1)

    def select(self, node: Select) -> Code:
        if node.ref is not None:
            return self.named(node.ref)
        operand = self.reference(node.operand)
        if node.test:
            run = select.has(operand.run, node.operand.type, node.field)
            return Code(run, operand.cost + 1 - operand.root, True, 0)
        run, charged = select.field(operand.run, node.operand.type, node.field)
        return operand._replace(run=run, cost=operand.cost + (0 if charged else 1))

    def reference(self, node: Node) -> Code:
        """Code from which something is selected; a value that is not a reference becomes one."""
        code = self.compile(node)
        if code.attribute:
            return code
        return Code(code.run, code.cost + 1, True, 1)

    def index(self, node: Call) -> Code:
        operand = self.reference(node.args[0])
        index = self.compile(node.args[1])
        cost = operand.cost + index.cost - index.root
        optional = node.function == "_[?_]"
        run, charged = select.index(
            operand.run,
            index.run,
            node.args[0].type,
            optional,
            node.args[1] if index.const else None,
        )
        return operand._replace(run=run, cost=cost + (0 if charged else 1))

    def optional_select(self, node: Call) -> Code:
        operand = self.reference(node.args[0])
        field = node.args[1]
        assert isinstance(field, Const)
        run = select.optional_field(operand.run, node.args[0].type, field.value)
        return operand._replace(run=run)

    # Calls.

    def call(self, node: Call) -> Code:
        special = _SPECIAL.get(node.function)
        if special is not None and (node.function not in _CHAINS or node.target is not None):
            return special(self, node)
        nodes = ([node.target] if node.target is not None else []) + node.args
        args = [self.value(a) for a in nodes]
        function = node.function
        if function == "@in" and len(node.overloads) == 1 and node.overloads[0].id == "in_list":
            folded = calls.membership(args)
            if folded is not None:
                return folded
        implementation = calls.implementation(node, nodes, args)
        ids = [o.id for o in node.overloads]
        count = counting.counter(function, ids[0] if len(ids) == 1 else "")
        if function in ("_==_", "_!=_"):
            scalar = all(n.type.kind in _SCALARS for n in nodes)
            count = 1 if scalar else counting.counter(function, ids[0])
        base = sum(a.cost for a in args)
        code = calls.applied(implementation, [a.run for a in args], base, count)
        if function in CONVERSIONS and len(args) == 1 and args[0].const:
            try:
                return calls.constant(code.run([0, 0]))
            except EvalError as e:
                raise CelError("program", e.message) from None
        return code

    def logic(self, node: Call) -> Code:
        stop = node.function == "_||_"
        terms: list[Code] = []
        pending: list[Node] = [node]
        while pending:
            n = pending.pop()
            if isinstance(n, Call) and n.function == node.function:
                pending.extend(reversed(n.args))
            else:
                terms.append(self.compile(n))
        first = terms[0]
        rest = [(c.run, c.cost) for c in terms[1:]]
        if len(rest) == 1:
            return Code(calls.either(first.run, *rest[0], stop), first.cost)
        return Code(calls.any_of(first.run, rest, stop), first.cost)

    def conditional(self, node: Call) -> Code:
        cond = self.compile(node.args[0])
        yes, no = self.compile(node.args[1]), self.compile(node.args[2])
        test, a, b = cond.run, yes.run, no.run
        ca, cb = yes.cost - yes.root, no.cost - no.root
        common = min(ca, cb)
        ca, cb = ca - common, cb - common

        def run(s: Frame) -> Any:
            v = test(s)
            if v is True:
                if ca:
                    s[COST] += ca
                return a(s)
            if v is False:
                if cb:
                    s[COST] += cb
                return b(s)
            raise no_such_overload()

        return Code(run, cond.cost + common, True, 0)

    def chain(self, node: Call) -> Code:
        """``optional.or(other)`` and ``optional.orValue(other)``: the other only when needed."""
        assert node.target is not None
        left, right = self.compile(node.target), self.value(node.args[0])
        a, b, cost = left.run, right.run, right.cost
        unwrap = node.function == "orValue"

        def run(s: Frame) -> Any:
            v = a(s)
            if type(v) is not values.Optional:
                return v
            if v is values.NONE:
                s[COST] += cost
                return b(s)
            return v.value if unwrap else v

        return Code(run, left.cost)

    # Literals of containers.

    def list(self, node: ListExpr) -> Code:
        elems = [self.value(e) for e in node.elems]
        runs = [e.run for e in elems]
        optionals = node.optionals
        if not optionals:
            if all(e.const for e in elems):
                return calls.constant([r([]) for r in runs])
            return Code(lambda s: [r(s) for r in runs], LIST_BASE + sum(e.cost for e in elems))

        def run(s: Frame) -> Any:
            out = []
            for i, r in enumerate(runs):
                v = r(s)
                if i in optionals:
                    if type(v) is not values.Optional:
                        raise EvalError(
                            "cannot initialize optional list element from non-optional value"
                        )
                    if v is values.NONE:
                        continue
                    v = v.value
                out.append(v)
            return out

        return Code(run, LIST_BASE + sum(e.cost for e in elems))

    def map(self, node: MapExpr) -> Code:
        pairs = [(self.value(k), self.value(v), o) for k, v, o in node.entries]
        runs = [(k.run, v.run, o) for k, v, o in pairs]

        def run(s: Frame) -> Any:
            out: dict[Any, Any] = {}
            for k, v, optional in runs:
                key, value = k(s), v(s)
                if optional:
                    if type(value) is not values.Optional:
                        raise EvalError(
                            f"cannot initialize optional entry '{key}' from non-optional value"
                        )
                    if value is values.NONE:
                        out.pop(key, None)
                        continue
                    value = value.value
                out[key] = value
            return out

        if all(k.const and v.const for k, v, _ in pairs):
            return calls.constant(run([]))
        return Code(run, MAP_BASE + sum(k.cost + v.cost for k, v, _ in pairs))

    def struct(self, node: StructExpr) -> Code:
        pairs = [(name, self.value(v), o) for name, v, o, _ in node.entries]
        runs = [(name, v.run, o) for name, v, o in pairs]
        type_name = node.name

        def run(s: Frame) -> Any:
            out: dict[str, Any] = {}
            for name, v, optional in runs:
                value = v(s)
                if optional:
                    if type(value) is not values.Optional:
                        raise EvalError(
                            f"cannot initialize optional entry '{name}' from non-optional value"
                        )
                    if value is values.NONE:
                        continue
                    value = value.value
                out[name] = value
            return values.Struct(type_name, out)

        return Code(run, STRUCT_BASE + sum(v.cost for _, v, _ in pairs))

    # Comprehensions.

    def fold(self, node: Fold) -> Code:
        if node.is_bind:
            return self.bind(node)
        source = self.compile(node.range)
        one, hidden = self.slot(node.var)
        two, hidden2 = self.slot(node.var2) if node.var2 else (0, None)
        shape = folds.shape(node)
        parts = [self.value(p) for p in shape.parts]
        self.restore_slot(node.var, hidden)
        if node.var2:
            self.restore_slot(node.var2, hidden2)
        items = folds.items(source.run, node.range.type, bool(node.var2))
        loop = [(p.run, p.cost, p.const) for p in parts]
        run, after = folds.loop(shape, items, one, two, loop)
        return Code(run, source.cost + after)

    def bind(self, node: Fold) -> Code:
        init = self.value(node.init)
        i, hidden = self.slot(node.accu)
        before = self.lazy.get(node.accu)
        self.lazy[node.accu] = (i, init)
        result = self.compile(node.result)
        if before is None:
            del self.lazy[node.accu]
        else:
            self.lazy[node.accu] = before
        self.restore_slot(node.accu, hidden)
        inner = result.run

        def run(s: Frame) -> Any:
            s[i] = UNSET
            return inner(s)

        return Code(run, result.cost)


_SCALARS: Final = frozenset({"bool", "int", "uint", "double", "duration", "timestamp"})
"""Kinds of values that cost one unit to compare."""
_CHAINS: Final = frozenset({"or", "orValue"})
_SPECIAL: Final[dict[str, Callable[[Compiler, Call], Code]]] = {
    "_&&_": Compiler.logic,
    "_||_": Compiler.logic,
    "_?_:_": Compiler.conditional,
    "_[_]": Compiler.index,
    "_[?_]": Compiler.index,
    "_?._": Compiler.optional_select,
    "or": Compiler.chain,
    "orValue": Compiler.chain,
}
# Each takes the nodes of its key.
_COMPILE: Final[dict[type[Node], Callable[[Compiler, Any], Code]]] = {
    Const: Compiler.const,
    Ident: Compiler.ident,
    Select: Compiler.select,
    Call: Compiler.call,
    ListExpr: Compiler.list,
    MapExpr: Compiler.map,
    StructExpr: Compiler.struct,
    Fold: Compiler.fold,
}
