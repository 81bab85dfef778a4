"""Comprehensions as loops.

In: the expansion of a macro, recognised by its shape, and the code of its parts. Out: code that
loops and charges what cel-go's fold would have. Called by: ``compiler``. Rules: cel-go
``interpreter/interpretable`` (``evalFold``), ``interpreter/runtimecost``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from . import values
from .ast import Call, Const, Fold, ListExpr, MapExpr, Node
from .errors import CostLimitExceeded, EvalError, no_such_overload
from .sizes import LIST_BASE
from .types import Type

Frame = list[Any]
Run = Callable[[Frame], Any]
Part = tuple[Run, int, bool]


class Shape(NamedTuple):
    """Which macro it was: ``parts`` are the nodes evaluated for each element, the predicate
    first."""

    kind: str
    parts: list[Node]
    filtered: bool = False


def shape(node: Fold) -> Shape:
    """The macro behind a fold; the parser makes no others."""
    step = node.step
    assert isinstance(step, Call)
    if isinstance(node.init, Const):
        if node.init.value is True:
            return Shape("all", [step.args[1]])
        if node.init.value is False:
            return Shape("exists", [step.args[1]])
        return Shape("one", [step.args[0]])
    parts: list[Node] = []
    filtered = step.function == "_?_:_"
    if filtered:
        parts.append(step.args[0])
        inner = step.args[1]
        assert isinstance(inner, Call)
        step = inner
    if isinstance(node.init, ListExpr):
        added = step.args[1]
        assert isinstance(added, ListExpr)
        return Shape("list", [*parts, added.elems[0]], filtered)
    assert isinstance(node.init, MapExpr)
    return Shape("map" if len(step.args) == 3 else "entries", [*parts, *step.args[1:]], filtered)


def items(source: Run, type_: Type, pairs: bool) -> Callable[[Frame], Iterable[Any]]:
    """The elements to loop over: of a list, keys of a map, or pairs of both."""
    leaf = type_.params[-1].leaf if type_.kind in ("list", "map") else None

    def singles(s: Frame) -> Iterable[Any]:
        v = source(s)
        if isinstance(v, list):
            return v if leaf is None else [x if x is None else leaf(x) for x in v]
        if isinstance(v, dict):
            return list(v)
        raise EvalError(f"got '{values.type_name(v)}', expected iterable type")

    def doubles(s: Frame) -> Iterable[Any]:
        v = source(s)
        if isinstance(v, list):
            listed = v if leaf is None else [x if x is None else leaf(x) for x in v]
            return list(enumerate(listed))
        if isinstance(v, dict):
            return [(k, x if leaf is None or x is None else leaf(x)) for k, x in v.items()]
        raise EvalError(f"unsupported comprehension range type: {values.type_name(v)}")

    return doubles if pairs else singles


def loop(
    shape_: Shape, source: Callable[[Frame], Any], one: int, two: int, parts: list[Part]
) -> tuple[Run, int]:
    """The loop, and what it costs at its end. ``one`` and ``two`` are the variables' slots."""
    if shape_.kind == "all":
        return _quantifier(source, one, two, parts[0], False, 3, 2), 1
    if shape_.kind == "exists":
        return _quantifier(source, one, two, parts[0], True, 4, 3), 1
    if shape_.kind == "one":
        return _exactly_one(source, one, two, parts[0]), 2
    if shape_.kind == "list":
        return _collect(source, one, two, parts, shape_.filtered), 1
    return _collect_map(source, one, two, parts, shape_), 1


def _quantifier(
    source: Callable[[Frame], Any], one: int, two: int, part: Part, stop: bool, each: int, last: int
) -> Run:
    """``all`` (stops at False) and ``exists`` (stops at True); a stop absorbs earlier errors.

    ``each`` is what a turn costs besides the predicate, ``last`` the look that ends the loop early.
    """
    predicate, cost, _ = part
    go = not stop
    turn = each + cost

    def run(s: Frame) -> bool:
        failed: EvalError | None = None
        found = source(s)
        limit = s[1]
        left = len(found)
        for x in found:
            if two:
                s[one], s[two] = x
            else:
                s[one] = x
            left -= 1
            c = s[0] = s[0] + turn
            if c > limit:
                raise CostLimitExceeded()
            try:
                v: object = predicate(s)
                if v is go:
                    continue
                if v is stop:
                    if left:
                        s[0] += last
                    return stop
                failed = failed or no_such_overload()
            except CostLimitExceeded:
                raise
            except EvalError as e:
                failed = failed or e
        if failed is not None:
            raise failed
        return go

    return run


def _exactly_one(source: Callable[[Frame], Any], one: int, two: int, part: Part) -> Run:
    predicate, cost, _ = part

    def run(s: Frame) -> bool:
        hits = 0
        limit = s[1]
        for x in source(s):
            if two:
                s[one], s[two] = x
            else:
                s[one] = x
            s[0] += cost
            v = predicate(s)
            if v is True:
                hits += 1
                s[0] += 2
            elif v is not False:
                raise no_such_overload()
            if s[0] > limit:
                raise CostLimitExceeded()
        return hits == 1

    return run


def _collect(
    source: Callable[[Frame], Any], one: int, two: int, parts: list[Part], filtered: bool
) -> Run:
    transform, cost, const = parts[-1]
    predicate, tested, _ = parts[0] if filtered else (_always, 0, True)
    each = 2 + (0 if const else LIST_BASE + cost)

    def run(s: Frame) -> list[Any]:
        out = []
        limit = s[1]
        for x in source(s):
            if two:
                s[one], s[two] = x
            else:
                s[one] = x
            s[0] += tested
            v = predicate(s)
            if v is True:
                s[0] += each
                out.append(transform(s))
            elif v is not False:
                raise no_such_overload()
            if s[0] > limit:
                raise CostLimitExceeded()
        return out

    return run


def _always(s: Frame) -> bool:
    return True


def _collect_map(
    source: Callable[[Frame], Any], one: int, two: int, parts: list[Part], shape_: Shape
) -> Run:
    predicate, tested, _ = parts[0] if shape_.filtered else (_always, 0, True)
    made = parts[1:] if shape_.filtered else parts
    each = 2 + sum(cost for _, cost, _ in made)
    entries = shape_.kind == "entries"
    value = made[-1][0]

    def run(s: Frame) -> dict[Any, Any]:
        out: dict[Any, Any] = {}
        limit = s[1]
        for pair in source(s):
            s[one], s[two] = pair
            s[0] += tested
            v = predicate(s)
            if v is True:
                s[0] += each
                new = value(s)
                for k, x in new.items() if entries else ((pair[0], new),):
                    if values.find(out, k)[0]:
                        raise EvalError(f"insert failed: key {k} already exists")
                    out[k] = x
            elif v is not False:
                raise no_such_overload()
            if s[0] > limit:
                raise CostLimitExceeded()
        return out

    return run
