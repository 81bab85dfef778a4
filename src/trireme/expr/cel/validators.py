"""Checks beyond types: literals that would fail at each evaluation.

In: a checked tree. Out: ``CelError`` with all findings. Called by: ``environment``. Rules: cel-go
``cel/validator`` and ``ext/formatting`` (format strings).
"""

from __future__ import annotations

from collections.abc import Iterator

from . import errors, regex, types
from .ast import Call, Const, ListExpr, MapExpr, Node, children
from .errors import EvalError, Issue
from .library import formatting
from .types import Type


def validate(text: str, root: Node, literals: bool = True) -> None:
    """Raises what is wrong with the literals of ``root``; without ``literals`` only mixed lists."""
    issues: list[Issue] = []
    nodes = list(_walk(root, False))
    for check in (_times, _patterns, _mixed, _formats) if literals else (_mixed,):
        check(nodes, issues)
    if issues:
        raise errors.compile_error(text, issues)


def _walk(node: Node, exempt: bool) -> Iterator[tuple[Node, bool]]:
    """Every node, and whether it is within the arguments of a ``format`` call."""
    yield node, exempt
    below = exempt or (isinstance(node, Call) and node.function == "format")
    for child in children(node):
        yield from _walk(child, below)


Nodes = list[tuple[Node, bool]]


def _times(nodes: Nodes, issues: list[Issue]) -> None:
    for node, _ in nodes:
        if not isinstance(node, Call) or node.function not in ("duration", "timestamp"):
            continue
        if node.args and isinstance(node.args[0], Const) and node.overloads:
            impl = node.overloads[0].impl
            assert impl is not None
            try:
                impl(node.args[0].value)
            except EvalError:
                issues.append(Issue(node.args[0].pos, f"invalid {node.function} argument"))


def _patterns(nodes: Nodes, issues: list[Issue]) -> None:
    for node, _ in nodes:
        if not isinstance(node, Call) or node.function != "matches" or not node.args:
            continue
        arg = node.args[0]
        if isinstance(arg, Const) and isinstance(arg.value, str):
            try:
                regex.pattern(arg.value)
            except regex.PatternError:
                issues.append(Issue(arg.pos, "invalid matches argument"))


def _mixed(nodes: Nodes, issues: list[Issue]) -> None:
    for node, exempt in nodes:
        if exempt:
            continue
        if isinstance(node, ListExpr):
            first: Type | None = None
            for i, e in enumerate(node.elems):
                type_ = types.unwrap_optional(e.type)[0] if i in node.optionals else e.type
                if first is None:
                    first = type_
                elif not _equivalent(first, type_):
                    _mismatch(issues, e, first, type_)
                    break
        elif isinstance(node, MapExpr):
            pair: tuple[Type, Type] | None = None
            for k, v, optional in node.entries:
                value = types.unwrap_optional(v.type)[0] if optional else v.type
                if pair is None:
                    pair = k.type, value
                    continue
                if not _equivalent(pair[0], k.type):
                    _mismatch(issues, k, pair[0], k.type)
                if not _equivalent(pair[1], value):
                    _mismatch(issues, v, pair[1], value)


def _equivalent(a: Type, b: Type) -> bool:
    if a.kind != b.kind or len(a.params) != len(b.params):
        return False
    if a.kind not in ("type",) and a.name != b.name:
        return False
    return all(_equivalent(p, q) for p, q in zip(a.params, b.params, strict=True))


def _mismatch(issues: list[Issue], node: Node, expected: Type, found: Type) -> None:
    issues.append(Issue(node.pos, f"expected type '{expected}' but found '{found}'"))


def _formats(nodes: Nodes, issues: list[Issue]) -> None:
    for node, _ in nodes:
        if not isinstance(node, Call) or node.function != "format" or node.target is None:
            continue
        if not isinstance(node.target, Const) or not isinstance(node.target.value, str):
            continue
        if len(node.args) == 1 and isinstance(node.args[0], ListExpr):
            found = formatting.check(node.target.value, node.args[0].elems)
            if found is not None:
                at, message = found
                issues.append(Issue(at.pos if at is not None else node.pos, message))
