"""The parts of an object that expressions look at, as plain JSON. Pure.

In: programs, an object as the write path has it. Out: the same as the object's JSON has, but for
what no program names. Making the JSON of a whole object and reading it again costs more than most
expressions. Called by ``hooks``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

import msgspec

from trireme.expr import cel
from trireme.machinery.codec import json

# What is looked at below a field; None: all of it.
Parts = dict[str, Any] | None

_encode = msgspec.json.Encoder().encode


def parts(programs: Iterable[cel.Program], variable: str) -> Parts:
    """What of a variable the programs look at."""
    found: dict[str, Any] = {}
    for program in programs:
        for path in program.paths(variable):
            if not path:
                return None
            _add(found, path)
    return found


def _add(found: dict[str, Any], path: tuple[str, ...]) -> None:
    here: Parts = found
    for name in path[:-1]:
        if here is None:
            return
        here = here.setdefault(name, {})
    if here is not None:
        here[path[-1]] = None


def project(obj: msgspec.Struct, desired: dict[str, Any]) -> dict[str, Any]:
    """The desired fields of an object that are written."""
    fields = _fields(type(obj))
    projected: dict[str, Any] = {}
    for name, below in desired.items():
        field = fields.get(name)
        if field is None:
            continue
        value = getattr(obj, field.attribute)
        if value is field.zero or (field.is_container and not value):
            continue
        if below is not None and isinstance(value, msgspec.Struct):
            projected[name] = project(value, below)
        elif value is None or isinstance(value, str | bool | int):
            projected[name] = value
        else:
            projected[name] = json.plain(_encode(value))
    return projected


class _Field(NamedTuple):
    """``zero`` is not written, nor is an empty container."""

    attribute: str
    zero: Any
    is_container: bool


_WRITTEN: Any = object()


@cache
def _fields(kind: type) -> dict[str, _Field]:
    """The fields of a struct by their names in JSON."""
    return {
        field.encode_name: _Field(
            field.name,
            _WRITTEN if field.default is msgspec.NODEFAULT else field.default,
            field.default_factory in (list, dict),
        )
        for field in msgspec.structs.fields(kind)
    }
