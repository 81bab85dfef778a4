"""What the libraries' functions are estimated to cost.

In: a function, its overload, its arguments. Out: ``Estimate``; None where the language's own rule
holds. Called by: ``estimate``; ``counting`` shares the tables. Rules: apiserver
``pkg/cel/library/cost`` (changing a number here changes which definitions are accepted), cel-go
``ext/{lists,sets}``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from . import types as t
from .ast import Const, Node
from .sizes import LIMIT, LIST_BASE, ONE, REGEX, STRUCT_BASE, TRAVERSAL, Estimate, Range, fixed
from .types import Type

Path = tuple[str, ...]


class Arg(NamedTuple):
    """What the cost of a function may depend on: an argument's type, literal value and size."""

    type: Type
    node: Node | None
    path: Path
    computed: Range | None


class Sizes(Protocol):
    """What an estimation knows of arguments."""

    def arg_size(self, arg: Arg) -> Range: ...
    def element(self, arg: Arg) -> Arg | None: ...


AUTHZ: Final = frozenset(
    [
        "serviceAccount",
        "path",
        "group",
        "resource",
        "subresource",
        "namespace",
        "name",
        "allowed",
        "reason",
        "error",
        "errored",
    ]
)
TRAVERSING: Final = frozenset(["isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"])
NOMINAL: Final = frozenset(
    [
        "masked",
        "prefixLength",
        "family",
        "isUnspecified",
        "isLoopback",
        "isLinkLocalMulticast",
        "isLinkLocalUnicast",
        "isGlobalUnicast",
        "format.named",
        "sign",
        "asInteger",
        "isInteger",
        "asApproximateFloat",
        "isGreaterThan",
        "isLessThan",
        "compareTo",
        "add",
        "sub",
        "major",
        "minor",
        "patch",
        "getScheme",
        "getHostname",
        "getHost",
        "getPort",
        "getEscapedPath",
        "getQuery",
    ]
)
PARSED: Final = frozenset(
    ["cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"]
)
CHECK: Final = 350_000
_NAME_REGEX: Final = 128
_FORMAT: Final = 64
_FIXED_EQUALITY: Final = frozenset(
    {
        "net.IP",
        "net.CIDR",
        "kubernetes.Quantity",
        "kubernetes.Semver",
        "kubernetes.authorization.Authorizer",
        "kubernetes.authorization.PathCheck",
        "kubernetes.authorization.GroupCheck",
        "kubernetes.authorization.ResourceCheck",
        "kubernetes.authorization.Decision",
    }
)


def estimate(
    e: Sizes, function: str, id_: str, target: Arg | None, args: list[Arg]
) -> Estimate | None:
    """The cost of the call alone, without its arguments."""
    special = _BY_OVERLOAD.get(id_)
    if special is not None:
        found = special(e, target, args)
        if found is not None:
            return found
    if function in NOMINAL or function in AUTHZ:
        return Estimate(ONE)
    if function in PARSED and args:
        return Estimate(e.arg_size(args[0]).scaled(TRAVERSAL))
    named = _BY_NAME.get(function)
    return named(e, id_, target, args) if named is not None else None


def selector(size: Range) -> Range:
    """What parsing a selector of this length costs."""
    requirements = size.scaled(0.5).scaled(float(LIST_BASE + STRUCT_BASE))
    return fixed(LIST_BASE).plus(size.scaled(TRAVERSAL)).plus(requirements)


def _estimate_selector(e: Sizes, id_: str, target: Arg | None, args: list[Arg]) -> Estimate:
    return Estimate(selector(e.arg_size(args[0])))


def _estimate_traversal(e: Sizes, id_: str, target: Arg | None, args: list[Arg]) -> Estimate | None:
    if target is None:
        return None
    size = e.arg_size(target)
    element = e.element(target)
    if element is None:
        return Estimate(size.scaled(TRAVERSAL))
    each = ONE
    if element.type.kind in ("string", "bytes"):
        each = each.plus(e.arg_size(element).scaled(TRAVERSAL))
    return Estimate(size.times(each))


def _estimate_text(e: Sizes, id_: str, target: Arg | None, args: list[Arg]) -> Estimate | None:
    of = target if target is not None else (args[0] if len(args) == 1 else None)
    if of is None:
        return None
    size = e.arg_size(of)
    return Estimate(size.scaled(TRAVERSAL), size)


def _estimate_replace(e: Sizes, id_: str, target: Arg | None, args: list[Arg]) -> Estimate | None:
    if target is None or len(args) < 2:
        return None
    size, old, new = e.arg_size(target), e.arg_size(args[0]), e.arg_size(args[1])
    kept_max = count_max = kept_min = count_min = 0
    if old.min == 0:
        count_max = min(size.max + 1, LIMIT)
        kept_max = size.max
    elif new.max <= old.min:
        kept_max = size.max
    else:
        count_max = math.ceil(float(size.max) / float(old.min))
    if old.max == 0:
        count_min = min(size.min + 1, LIMIT)
        kept_min = size.min
    elif old.max <= new.min:
        kept_min = size.min
    else:
        count_min = math.ceil(float(size.min) / float(old.max))
    result = Range(count_min, min(count_max, LIMIT)).times(new).plus(Range(kept_min, kept_max))
    return Estimate(size.scaled(2 * TRAVERSAL), result)


def _estimate_split(e: Sizes, id_: str, target: Arg | None, args: list[Arg]) -> Estimate | None:
    if target is None:
        return None
    size = e.arg_size(target)
    most = size.max
    if len(args) > 1 and isinstance(args[1].node, Const) and type(args[1].node.value) is int:
        most = args[1].node.value & LIMIT
    return Estimate(size.scaled(2 * TRAVERSAL), Range(0, most))


def _estimate_join(e: Sizes, id_: str, target: Arg | None, args: list[Arg]) -> Estimate | None:
    if target is None:
        return None
    count = e.arg_size(target)
    element = e.element(target)
    size = count.times(e.arg_size(element)) if element is not None else Range(0, 0)
    if args:
        gaps = Range(max(count.min - 1, 0), max(count.max - 1, 0))
        size = size.plus(e.arg_size(args[0]).times(gaps))
    return Estimate(size.scaled(TRAVERSAL), size)


def _estimate_find(e: Sizes, id_: str, target: Arg | None, args: list[Arg]) -> Estimate | None:
    if target is None or not args:
        return None
    size = e.arg_size(target)
    cost = size.plus(ONE).scaled(TRAVERSAL).times(e.arg_size(args[0]).scaled(REGEX))
    return Estimate(cost, Range(0, size.max))


def _estimate_ip(e: Sizes, id_: str, target: Arg | None, args: list[Arg]) -> Estimate | None:
    if id_ == "cidr_ip":
        return Estimate(ONE)
    return Estimate(e.arg_size(args[0]).scaled(TRAVERSAL)) if args else None


def _estimate_contains(e: Sizes, id_: str, target: Arg | None, args: list[Arg]) -> Estimate | None:
    if not args:
        return None
    address = Range(4, 16)
    cost = address.plus(address).scaled(TRAVERSAL)
    if id_.startswith("cidr_contains_cidr"):
        cost = cost.plus(address.scaled(TRAVERSAL)).plus(ONE)
    if id_.endswith("_string"):
        cost = cost.plus(e.arg_size(args[0]).scaled(TRAVERSAL))
    return Estimate(cost)


def _estimate_validate(e: Sizes, id_: str, target: Arg | None, args: list[Arg]) -> Estimate | None:
    if not args:
        return None
    cost = e.arg_size(args[0]).scaled(TRAVERSAL).scaled(_NAME_REGEX * REGEX)
    return Estimate(cost)


def _estimate_equal(e: Sizes, id_: str, target: Arg | None, args: list[Arg]) -> Estimate | None:
    if len(args) != 2 or not t.same(args[0].type, args[1].type):
        return None
    name = args[0].type.name
    if name in _FIXED_EQUALITY:
        return Estimate(ONE)
    if name == "kubernetes.NamedFormat":
        return Estimate(Range(1, _FORMAT).scaled(TRAVERSAL))
    if name == "kubernetes.URL":
        size = args[1].computed
        return Estimate(Range(1, size.max if size is not None else 1).scaled(TRAVERSAL))
    return None


NameRule = Callable[[Sizes, str, Arg | None, list[Arg]], Estimate | None]
_BY_NAME: Final[dict[str, NameRule]] = {
    "check": lambda e, i, x, a: Estimate(fixed(CHECK)),
    "fieldSelector": _estimate_selector,
    "labelSelector": _estimate_selector,
    **dict.fromkeys(TRAVERSING, _estimate_traversal),
    **dict.fromkeys(
        ("url", "jsonpatch.escapeKey", "lowerAscii", "upperAscii", "substring", "trim"),
        _estimate_text,
    ),
    "replace": _estimate_replace,
    "split": _estimate_split,
    "join": _estimate_join,
    "find": _estimate_find,
    "findAll": _estimate_find,
    "ip": _estimate_ip,
    "ip.isCanonical": lambda e, i, x, a: Estimate(e.arg_size(a[0]).scaled(2 * TRAVERSAL)),
    "containsIP": _estimate_contains,
    "containsCIDR": _estimate_contains,
    "validate": _estimate_validate,
    "_==_": _estimate_equal,
}


def _made(factor: float, size: Range) -> Estimate:
    """A call that makes a list of ``size``."""
    return Estimate(size.scaled(factor).plus(ONE).plus(fixed(LIST_BASE)), size)


def _literal(arg: Arg, default: int) -> int:
    node = arg.node
    if isinstance(node, Const) and type(node.value) is int:
        return max(node.value, 0)
    return default


def _slice(e: Sizes, target: Arg | None, args: list[Arg]) -> Estimate | None:
    if target is None:
        return None
    start, end = _literal(args[0], 0), _literal(args[1], e.arg_size(target).max)
    return _made(1, fixed((end - start) & LIMIT))


def _range(e: Sizes, target: Arg | None, args: list[Arg]) -> Estimate | None:
    return _made(1, fixed(_literal(args[0], LIMIT)))


def _reverse(e: Sizes, target: Arg | None, args: list[Arg]) -> Estimate | None:
    return _made(1, e.arg_size(target)) if target is not None else None


def _flatten(e: Sizes, target: Arg | None, args: list[Arg]) -> Estimate | None:
    depth = _literal(args[0], LIMIT) if args else 1
    return _made(float(depth), e.arg_size(target)) if target is not None else None


def _distinct(e: Sizes, target: Arg | None, args: list[Arg]) -> Estimate | None:
    if target is None:
        return None
    size = e.arg_size(target)
    return _made(2.0, size.times(size))


def _sort(kind: str, by: bool) -> OverloadRule:
    factor = 2.0 + (TRAVERSAL if kind in ("string", "bytes") else 0)

    def rule(e: Sizes, target: Arg | None, args: list[Arg]) -> Estimate | None:
        of = args[0] if by else target
        if of is None:
            return None
        size = e.arg_size(of)
        return _made(factor, size.times(size))

    return rule


def _sets(factor: float) -> OverloadRule:
    def rule(e: Sizes, target: Arg | None, args: list[Arg]) -> Estimate | None:
        if len(args) != 2:
            return None
        product = e.arg_size(args[0]).times(e.arg_size(args[1]))
        return Estimate(product.scaled(factor).plus(ONE))

    return rule


OverloadRule = Callable[[Sizes, Arg | None, list[Arg]], Estimate | None]
SORTED: Final = {
    "int": "int", "uint": "uint", "double": "double", "bool": "bool", "string": "string",
    "bytes": "bytes", "duration": "google.protobuf.Duration",
    "timestamp": "google.protobuf.Timestamp",
}  # fmt: skip
"""The kinds of elements that can be sorted, and how the identifiers of overloads name them."""
_BY_OVERLOAD: Final[dict[str, OverloadRule]] = {
    "list_slice": _slice,
    "lists_range": _range,
    "list_reverse": _reverse,
    "list_flatten": _flatten,
    "list_flatten_int": _flatten,
    "list_distinct": _distinct,
    **{f"list_{name}_sort": _sort(kind, False) for kind, name in SORTED.items()},
    **{f"list_{name}_sortByAssociatedKeys": _sort(kind, True) for kind, name in SORTED.items()},
    "list_sets_contains_list": _sets(1),
    "list_sets_intersects_list": _sets(1),
    "list_sets_equivalent_list": _sets(2),
}
