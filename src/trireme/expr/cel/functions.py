"""Functions and their overloads: what the checker resolves and the compiler calls.

Out: ``Overload``, and ``Registry``, the functions of one environment. Called by: ``checker``,
``compiler``, every module of ``library``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from . import values
from .types import Type

Impl = Callable[..., Any]


class Overload:
    """One signature: ``impl(*args)`` takes the target first; it raises ``EvalError``.

    ``impl`` is None for what the compiler knows by itself (logic, indexing, optional chains).
    """

    __slots__ = ("args", "id", "impl", "member", "name", "open", "result")

    def __init__(
        self,
        name: str,
        id_: str,
        args: tuple[Type, ...],
        result: Type,
        impl: Impl | None,
        member: bool = False,
    ) -> None:
        self.name = name
        self.id = id_
        self.args = args
        self.result = result
        self.impl = impl
        self.member = member
        self.open = any(a.open for a in args) or result.open

    def accepts(self, args: tuple[Any, ...]) -> bool:
        """Whether values whose types were unknown before fit this signature."""
        return len(args) == len(self.args) and all(map(fits, args, self.args))


_KINDS: Final[dict[str, Callable[[Any], bool]]] = {
    "bool": lambda v: v is True or v is False,
    "int": lambda v: type(v) is int,
    "uint": lambda v: type(v) is values.Uint,
    "double": lambda v: type(v) is float,
    "string": lambda v: type(v) is str,
    "bytes": lambda v: type(v) is bytes,
    "null_type": lambda v: v is None,
    "duration": lambda v: type(v) is values.Duration,
    "timestamp": lambda v: type(v) is values.Timestamp,
    "list": lambda v: isinstance(v, list),
    "map": lambda v: isinstance(v, dict),
    "type": lambda v: type(v) is values.TypeValue,
}


def fits(value: Any, type_: Type) -> bool:
    """Whether the value is of the type, not looking into lists and maps."""
    test = _KINDS.get(type_.kind)
    if test is not None:
        return test(value)
    if type_.kind in ("struct", "opaque"):
        return values.type_name(value) == type_.name
    return True


class Registry:
    """The functions of an environment, by name, each with its overloads in order."""

    def __init__(self, overloads: Iterable[Overload] = ()) -> None:
        self.by_name: dict[str, list[Overload]] = {}
        self.add(overloads)

    def add(self, overloads: Iterable[Overload]) -> None:
        """Appends; an overload already there (by id) stays as it is."""
        for o in overloads:
            have = self.by_name.setdefault(o.name, [])
            if all(h.id != o.id for h in have):
                have.append(o)

    def get(self, name: str) -> list[Overload] | None:
        """The overloads of the function ``name``, without its leading dot."""
        return self.by_name.get(name.removeprefix("."))


def define(name: str, id_: str, args: Iterable[Type], result: Type, impl: Impl | None) -> Overload:
    """A function called as ``name(args)``."""
    return Overload(name, id_, tuple(args), result, impl)


def method(name: str, id_: str, args: Iterable[Type], result: Type, impl: Impl | None) -> Overload:
    """A function called as ``args[0].name(args[1:])``."""
    return Overload(name, id_, tuple(args), result, impl, member=True)
