"""The steps of a path: each leads from some values to those below them.

In: plain JSON values. Out: the values that the whole path finds, in order; keys that are not there
find nothing. Pure. Called by: ``JsonPath.find``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol


class Step(Protocol):
    """One step of a path."""

    def walk(self, value: Any) -> Iterator[Any]: ...


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A parsed path."""

    steps: tuple[Step, ...]

    def find(self, value: Any) -> list[Any]:
        """All values that the path leads to, from ``value`` as the root."""
        found = [value]
        for step in self.steps:
            found = [below for item in found for below in step.walk(item)]
        return found


@dataclass(frozen=True, slots=True)
class Name:
    """A member of an object."""

    name: str

    def walk(self, value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and self.name in value:
            yield value[self.name]


@dataclass(frozen=True, slots=True)
class All:
    """Every member or item."""

    def walk(self, value: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            yield from value.values()
        elif isinstance(value, list):
            yield from value


@dataclass(frozen=True, slots=True)
class Items:
    """Some items of a list, by Python's rules for slices; ``single`` for one alone."""

    start: int | None
    stop: int | None
    step: int
    single: bool

    def walk(self, value: Any) -> Iterator[Any]:
        if not isinstance(value, list):
            return
        if not self.single:
            yield from value[self.start : self.stop : self.step]
            return
        at = self.start or 0
        if -len(value) <= at < len(value):
            yield value[at]


@dataclass(frozen=True, slots=True)
class Descend:
    """The value itself and everything below it."""

    def walk(self, value: Any) -> Iterator[Any]:
        yield value
        below = value.values() if isinstance(value, dict) else value
        if isinstance(value, dict | list):
            for item in below:
                yield from self.walk(item)


@dataclass(frozen=True, slots=True)
class Union:
    """What several paths find, one after the other."""

    paths: tuple[JsonPath, ...]

    def walk(self, value: Any) -> Iterator[Any]:
        for path in self.paths:
            yield from path.find(value)


OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True, slots=True)
class Filter:
    """The items for which a comparison holds; without an operator, those where something is."""

    left: JsonPath | Any
    operator: str
    right: JsonPath | Any

    def walk(self, value: Any) -> Iterator[Any]:
        items = [value] if isinstance(value, dict) else value
        if isinstance(items, list):
            yield from (item for item in items if self._holds(item))

    def _holds(self, item: Any) -> bool:
        left = _value(self.left, item)
        if not self.operator:
            return bool(left)
        right = _value(self.right, item)
        if not left or not right:
            return False
        try:
            return bool(OPERATORS[self.operator](left[0], right[0]))
        except TypeError:
            return False


def _value(side: JsonPath | Any, item: Any) -> list[Any]:
    return side.find(item) if isinstance(side, JsonPath) else [side]
