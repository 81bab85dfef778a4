"""The code of calls: logic, overloads, and what each call charges.

In: the code of operands. Out: ``Code``. Called by: ``compiler``. Rules: cel-go
``interpreter/{interpretable,decorators,runtimecost}``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from . import counting, regex, values
from . import types as t
from .ast import Call, Node
from .errors import CelError, CostLimitExceeded, EvalError, no_such_overload
from .functions import Overload, fits
from .library.standard import CONVERSIONS, within

Frame = list[Any]
Run = Callable[[Frame], Any]

COST: Final = 0
LIMIT: Final = 1
FIRST: Final = 2
UNSET: Final = object()
"""In the slot of a bound name that has not been used yet."""


class Code(NamedTuple):
    """``run`` evaluates; ``cost`` is charged by whoever runs it.

    ``attribute`` tells a reference (a name, and what is selected from it), of whose cost
    ``root`` is due to the reference as a whole and not to its steps. ``const``: the value is fixed.
    """

    run: Run
    cost: int = 0
    attribute: bool = False
    root: int = 0
    const: bool = False


def constant(value: Any) -> Code:
    """Code for a value that is known already."""
    return Code(lambda s: value, 0, const=True)


def either(a: Run, b: Run, cost: int, stop: bool) -> Run:
    """``a || b`` (``stop`` is True) or ``a && b``: the deciding value suppresses the other's
    error."""
    go = not stop

    def run(s: Frame) -> bool:
        try:
            v: object = a(s)
            if v is stop:
                return stop
            failed = None if v is go else no_such_overload()
        except EvalError as e:
            failed = _suppressed(e)
        s[COST] += cost
        if failed is None:
            v = b(s)
            if v is go or v is stop:
                return v is True
            raise no_such_overload()
        try:
            v = b(s)
            if v is stop:
                return stop
        except EvalError as e:
            _suppressed(e)
        raise failed

    return run


def any_of(first: Run, rest: list[tuple[Run, int]], stop: bool) -> Run:
    """As ``either``, for longer chains; each of ``rest`` has its cost."""
    go = not stop

    def run(s: Frame) -> bool:
        failed: EvalError | None = None
        try:
            v: object = first(s)
            if v is stop:
                return stop
            if v is not go:
                failed = no_such_overload()
        except EvalError as e:
            failed = _suppressed(e)
        for r, cost in rest:
            s[COST] += cost
            try:
                v = r(s)
                if v is stop:
                    return stop
                if v is not go and failed is None:
                    failed = no_such_overload()
            except EvalError as e:
                failed = failed or _suppressed(e)
        if failed is not None:
            raise failed
        return go

    return run


def _suppressed(e: EvalError) -> EvalError:
    if isinstance(e, CostLimitExceeded):
        raise e
    return e


def membership(args: list[Code]) -> Code | None:
    """``x in [literals]``: a lookup in a set, at the cost of ``x``."""
    if not args[1].const:
        return None
    items = args[1].run([])
    if not items:
        return constant(False)
    if any(type(i) not in (bool, int, values.Uint, float, str) for i in items):
        return None
    run = args[0].run
    kind = type(items[0])
    if kind in (str, int) and all(type(i) is kind for i in items):
        known = frozenset(items)

        def quick(s: Frame) -> bool:
            v = run(s)
            return v in known if type(v) is kind else within(v, items)

        return Code(quick, args[0].cost)
    return Code(lambda s: within(run(s), items), args[0].cost)


def implementation(node: Call, nodes: list[Node], args: list[Code]) -> Callable[..., Any]:
    """What evaluates the call, picked now where types are known."""
    overloads = node.overloads
    position = _PATTERNS.get(node.function)
    if position is not None and len(args) > position and args[position].const:
        text = args[position].run([])
        if type(text) is str:
            try:
                regex.pattern(text)
            except regex.PatternError as e:
                raise CelError("program", str(e)) from None
    if len(overloads) == 1 and (impl := overloads[0].impl) is not None:
        o = overloads[0]
        vague = any(
            t.is_dyn(n.type) and a.kind not in ("param", "dyn")
            for n, a in zip(nodes, o.args, strict=True)
        )
        if not vague:
            return impl
    return _dispatch(node.function, overloads)


_PATTERNS: Final = {"matches": 1, "find": 1, "findAll": 1}


def _dispatch(function: str, overloads: tuple[Overload, ...]) -> Callable[..., Any]:
    """Picks the overload by the values, for operands of unknown types."""

    def call(*args: Any) -> Any:
        for o in overloads:
            if o.accepts(args) and o.impl is not None:
                return o.impl(*args)
        raise _no_overload(function, overloads, args)

    return call


def _no_overload(
    function: str, overloads: tuple[Overload, ...], args: tuple[Any, ...]
) -> EvalError:
    if function in ("startsWith", "endsWith", "contains"):
        return no_such_overload()
    if len(args) == 1 and function in CONVERSIONS:
        names = ", ".join(values.type_name(a) for a in args)
        return no_such_overload(f"{function}({names})")
    known = any(o.accepts((args[0],) + args[1:]) or _first(o, args[0]) for o in overloads)
    if len(args) == 2 and known:
        return no_such_overload()
    return no_such_overload(function)


def _first(o: Overload, value: Any) -> bool:
    return fits(value, o.args[0])


def applied(
    f: Callable[..., Any], runs: list[Run], base: int, count: counting.Counter | int
) -> Code:
    """A call of ``f``, which charges what depends on the values itself."""
    if isinstance(count, int):
        cost = base + count
        if len(runs) == 1:
            (a,) = runs
            return Code(lambda s: f(a(s)), cost)
        if len(runs) == 2:
            a, b = runs
            return Code(lambda s: f(a(s), b(s)), cost)
        if not runs:
            return Code(lambda s: f(), cost)
        return Code(lambda s: f(*[r(s) for r in runs]), cost)
    counted = count
    if len(runs) == 1:
        (a,) = runs

        def one(s: Frame) -> Any:
            x = a(s)
            r = f(x)
            s[COST] += counted((x,), r)
            return r

        return Code(one, base)
    if len(runs) == 2:
        a, b = runs

        def two(s: Frame) -> Any:
            x = a(s)
            y = b(s)
            r = f(x, y)
            s[COST] += counted((x, y), r)
            return r

        return Code(two, base)

    def many(s: Frame) -> Any:
        xs = tuple(r(s) for r in runs)
        result = f(*xs)
        s[COST] += counted(xs, result)
        return result

    return Code(many, base)
