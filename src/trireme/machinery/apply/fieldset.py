"""Sets of field paths, in the form that ``fieldsV1`` has on the wire.

A set is the decoded ``fieldsV1`` itself: a dict from path element to the set below it. A path
element is its text on the wire (``f:spec``, ``k:{"name":"c"}``, ``v:"x"``), so equality of elements
is equality of strings. An element belongs to the set when what is below it is empty or holds
``"."``; it may also only lead to others. The empty dict at the top is the empty set.

Sets are values: no function changes one that it was given, and results share parts with their
arguments. Upstream: structured-merge-diff ``fieldpath``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from trireme.machinery import gotext

Set = dict[str, Any]
Path = tuple[str, ...]

SELF: Final = "."
# The set below an element that is in the set and has nothing below. Never changed.
LEAF: Final[Set] = {}

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
# Longer sets are not cached: a thousand distinct ones would take gigabytes.
_SHORT: Final = 4096
# Order of the kinds of path elements: fields, keys, values, indexes.
_KINDS: Final = {"f": 0, "k": 1, "v": 2, "i": 3}


def of(*paths: Sequence[str]) -> Set:
    """The set of these paths, each a sequence of path elements."""
    result: Set = {}
    for path in paths:
        result = union(result, _chain(path))
    return result


def fields(*paths: Sequence[str]) -> Set:
    """The set of these paths of plain field names: ``fields(("metadata", "labels"))``."""
    return of(*(tuple(f"f:{name}" for name in path) for path in paths))


def _chain(path: Sequence[str]) -> Set:
    below: Set = LEAF
    for element in reversed(path):
        below = {element: below}
    return below


def has(items: Set, path: Sequence[str]) -> bool:
    """Whether the set holds this very path."""
    here = items
    for element in path:
        below = here.get(element)
        if below is None:
            return False
        here = below
    return bool(path) and (not here or SELF in here)


def union(a: Set, b: Set) -> Set:
    """What is in either."""
    if not a or not b or a is b:
        return a or b
    result = dict(a)
    for element, below in b.items():
        ours = result.get(element)
        result[element] = below if ours is None else _join(ours, below)
    return result


def _join(a: Set, b: Set) -> Set:
    if not a:
        return b if not b or SELF in b else {SELF: LEAF, **b}
    if not b:
        return a if SELF in a else {SELF: LEAF, **a}
    return union(a, b)


def intersection(a: Set, b: Set) -> Set:
    """What is in both."""
    result: Set = {}
    for element, ours in a.items():
        other = b.get(element)
        if other is None or element == SELF:
            continue
        member = (not ours or SELF in ours) and (not other or SELF in other)
        below = intersection(ours, other) if ours and other else LEAF
        if member or below:
            result[element] = _node(member, below)
    return result


def difference(a: Set, b: Set) -> Set:
    """What is in ``a`` and not in ``b``. A path below one in ``b`` stays."""
    if not b:
        return a
    result: Set = {}
    for element, ours in a.items():
        other = b.get(element)
        if other is None or element == SELF:
            result[element] = ours
            continue
        member = (not ours or SELF in ours) and not (not other or SELF in other)
        below = _children(ours)
        if other and below:
            below = difference(below, other)
        if member or below:
            result[element] = _node(member, below)
    result.pop(SELF, None)
    return result


def recursive_difference(a: Set, b: Set) -> Set:
    """What is in ``a``, is not in ``b`` and is below nothing in ``b``."""
    if not b:
        return a
    result: Set = {}
    for element, ours in a.items():
        other = b.get(element)
        if other is None:
            result[element] = ours
        elif other and SELF not in other:
            member = not ours or SELF in ours
            below = recursive_difference(_children(ours), other)
            if member or below:
                result[element] = _node(member, below)
    return result


def _children(below: Set) -> Set:
    if SELF not in below:
        return below
    return {element: item for element, item in below.items() if element != SELF}


def _node(member: bool, below: Set) -> Set:
    if not below:
        return LEAF
    return {SELF: LEAF, **below} if member else below


def covers(a: Set, b: Set) -> bool:
    """Whether everything in ``b`` is in ``a``."""
    for element, below in b.items():
        ours = a.get(element)
        if ours is None:
            return False
        if ours is below:
            continue
        if (not below or SELF in below) and ours and SELF not in ours:
            return False
        if below and not covers(ours, below):
            return False
    return True


def paths(items: Set) -> Iterator[Path]:
    """All paths, in upstream's order: the members of a level, then what is below each."""
    yield from _paths(items, ())


def _paths(items: Set, above: Path) -> Iterator[Path]:
    elements = in_order(element for element in items if element != SELF)
    for element in elements:
        below = items[element]
        if not below or SELF in below:
            yield (*above, element)
    for element in elements:
        yield from _paths(items[element], (*above, element))


def text(path: Path) -> str:
    """A path as messages show it: ``.spec.containers[name="c"].image``."""
    return "".join(map(element_text, path))


def element_text(element: str) -> str:
    """One path element as messages show it."""
    kind, body = element[0], element[2:]
    if kind == "f":
        return f".{body}"
    if kind == "i":
        return f"[{body}]"
    value = _decode(body.encode())
    if kind == "v":
        return f"[={_value_text(value)}]"
    return "[" + ",".join(f"{name}={_value_text(value[name])}" for name in sorted(value)) + "]"


def _value_text(value: Any) -> str:
    if isinstance(value, str):
        return gotext.quote(value)
    return str(_encode(value), "utf-8")


def encode(items: Set) -> bytes:
    """``fieldsV1`` as JSON, its elements in upstream's order."""
    return _encode(ordered(items))


def ordered(items: Set) -> Set:
    """The same set with its elements in upstream's order."""
    if not items:
        return items
    if len(items) == 1:
        [(element, below)] = items.items()
        return {element: ordered(below)} if below else items
    return {element: ordered(items[element]) for element in in_order(items)}


def in_order(elements: Iterable[str]) -> list[str]:
    """Path elements in upstream's order."""
    result = sorted(elements)
    # Texts sort as fields do; keys and values sort by what they hold.
    if len(result) > 1 and result[-1][0] > "f":
        result.sort(key=_order)
    return result


@lru_cache(maxsize=8192)
def _order(element: str) -> tuple[Any, ...]:
    if element == SELF:
        return (-1,)
    kind, body = element[0], element[2:]
    rank = _KINDS[kind]
    if kind == "f":
        return (rank, body)
    if kind == "i":
        return (rank, int(body))
    value = _decode(body.encode())
    if kind == "v":
        return (rank, _value_order(value))
    return (rank, tuple((name, _value_order(value[name])) for name in sorted(value)))


def _value_order(value: Any) -> tuple[Any, ...]:
    """Numbers before strings before booleans before lists before maps before null."""
    if isinstance(value, bool):
        return (2, value)
    if isinstance(value, int | float):
        return (0, value)
    if isinstance(value, str):
        return (1, value)
    if isinstance(value, list):
        return (3, tuple(map(_value_order, value)))
    if isinstance(value, dict):
        return (4, tuple((name, _value_order(value[name])) for name in sorted(value)))
    return (5,)


def decode(data: bytes) -> Set:
    """The set that a ``fieldsV1`` holds; elements of unknown kinds are dropped.

    Raises ValueError. The result is cached and shared: never change it.
    """
    if not data:
        return {}
    return _remembered(data) if len(data) < _SHORT else _fresh(data)


@lru_cache(maxsize=1024)
def _remembered(data: bytes) -> Set:
    return _fresh(data)


def _fresh(data: bytes) -> Set:
    raw = _decode(data)
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise ValueError("expected an object")
    return _checked(raw)


def _checked(raw: Set) -> Set:
    result: Set = {}
    for name, below in raw.items():
        if name == SELF:
            continue
        if len(name) < 2:
            raise ValueError("parsing key as path element: key must be 2 characters long:")
        if name[1] != ":":
            raise ValueError(f"parsing key as path element: missing colon: {name}")
        if name[0] not in _KINDS:
            continue
        if not isinstance(below, dict | None):
            raise ValueError("expected an object")
        below = below or LEAF
        members = _checked(below) if below else LEAF
        # What held only unknown elements is an element of the set itself.
        result[_canonical(name)] = _node(SELF in below or not members, members)
    return result


def _canonical(element: str) -> str:
    kind = element[0]
    if kind == "f":
        return element
    if kind == "i":
        return f"i:{int(element[2:])}"
    value = _decode(element[2:].encode())
    if kind == "v":
        return value_element(value)
    if not isinstance(value, dict):
        raise ValueError(f"parsing key as path element: expected an object: {element}")
    return key_element(value)


def value_element(value: Any) -> str:
    """The path element of an item of a set list."""
    return f"v:{str(_encode(_number(value)), 'utf-8')}"


def key_element(keys: dict[str, Any]) -> str:
    """The path element of an item of a list map, from its keys."""
    parts = []
    for name in sorted(keys):
        value = keys[name]
        if type(value) is int:
            parts.append(f"{_name(name)}:{value}")
        elif type(value) is str and value.isalnum() and value.isascii():
            parts.append(f'{_name(name)}:"{value}"')
        else:
            text = str(_encode(_number(value)), "utf-8")
            parts.append(f"{_name(name)}:{text}")
    return f"k:{{{','.join(parts)}}}"


@lru_cache(maxsize=512)
def _name(name: str) -> str:
    return str(_encode(name), "utf-8")


def _number(value: Any) -> Any:
    # 1.0 and 1 are the same value.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
