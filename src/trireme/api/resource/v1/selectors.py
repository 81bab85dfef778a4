"""Selectors of devices: what their expressions may use, and whether they compile.

In: the text of a CEL selector. Out: the compiled ``Program``, or a field error. Called by: the
rules of this group, and by whoever allocates devices. Upstream: dynamic-resource-allocation
``cel``; KEP-4381, KEP-5075.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from trireme.api.rules import Errors
from trireme.expr import cel
from trireme.expr.cel import DeclType, macros
from trireme.expr.cel import types as t
from trireme.expr.cel.library.quantities import TYPE as QUANTITY
from trireme.expr.cel.types import Type
from trireme.machinery import field
from trireme.machinery.field import Path

MOST_COST: Final = 1_000_000
_LONGEST: Final = 10 * 1024
_MOST_ENTRIES: Final = 32


class _AnyKey(dict[str, DeclType]):
    """Every identifier has an attribute of the same bounded size."""

    def __init__(self, of: DeclType) -> None:
        self._of = of

    def get(self, key: str, default: Any = None) -> DeclType:
        """The attribute's type."""
        return self._of


def _map(key: DeclType, elem: DeclType, fields: dict[str, DeclType] | None = None) -> DeclType:
    made = t.map_of(key.type, elem.type)
    return DeclType(made, max_elements=_MOST_ENTRIES, key=key, elem=elem, fields=fields)


def _device() -> DeclType:
    domain = DeclType(t.STRING, max_elements=63)
    identifier = DeclType(t.STRING, max_elements=32)
    attribute = DeclType(Type("any"), max_elements=64)
    attributes = _map(domain, _map(identifier, attribute, _AnyKey(attribute)))
    capacity = _map(domain, _map(identifier, DeclType(QUANTITY, max_elements=0)))
    fields = {
        "driver": DeclType(t.STRING, max_elements=63),
        "allowMultipleAllocations": DeclType(t.BOOL, max_elements=1),
        "attributes": attributes,
        "capacity": capacity,
    }
    members = {name: t.Field(name, decl.type) for name, decl in fields.items()}
    return DeclType(t.struct("kubernetes.DRADevice", members), fields=fields)


_DEVICE: Final = _device()
_ENVIRONMENT: Final = cel.Environment(
    {"device": _DEVICE},
    type_names={_DEVICE.type.name: _DEVICE.type},
    extra_macros=macros.BINDINGS,
)


@lru_cache(maxsize=1024)
def compile(text: str) -> cel.Program:
    """The program of a selector, whose value is a bool. Raises ``cel.CelError``."""
    return _ENVIRONMENT.compile(text)


def check(errs: Errors, at: Path, text: str) -> None:
    """An expression that is not too long, compiles to a bool, and cannot cost too much."""
    if len(text.encode()) > _LONGEST:
        errs.append(field.too_long(at, _LONGEST))
        return
    try:
        program = compile(text)
    except cel.CelError as error:
        if error.kind == "compile":
            errs.append(field.invalid(at, text, f"compilation failed: {error}"))
        else:
            errs.append(field.internal(at, f"program instantiation failed: {error}"))
        return
    if program.type.kind not in ("bool", "any"):
        type_text = "null_type" if program.type.kind == "null_type" else str(program.type)
        detail = f"must evaluate to bool or the unknown type, not {type_text}"
        errs.append(field.invalid(at, text, detail))
    elif program.estimate(any_name=False).max > MOST_COST:
        errs.append(field.forbidden(at, "too complex, exceeds cost limit"))
