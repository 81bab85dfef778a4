"""``rules.declared``: what the markers of a type say of an object."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from trireme.api import rules
from trireme.machinery import field
from trireme.machinery.types import Default, Enum, Int32, Required, Struct, always

Colour = Annotated[str, Enum(("red", "blue"))]


class Paint(Struct):
    name: Annotated[str, Required()] = always(str)
    litres: Annotated[Int32, Required()] = always(int)
    coats: Annotated[list[str], Required()] = always(list)
    maker: Annotated[str | None, Required()] = None
    base: Colour = ""
    top: Annotated[Colour, Default("red")] = ""
    shade: Colour | None = None
    free: str = ""


FULL = {"name": "n", "coats": ["a"], "maker": "", "top": "blue"}
COLOURS = 'supported values: "red", "blue"'
CASES = [
    ("good", {}, []),
    (
        "empty",
        {"name": "", "coats": [], "maker": None, "top": ""},
        [f"p.{name}: Required value" for name in ("name", "coats", "maker", "top")],
    ),
    (
        "not of the enumeration",
        {"base": "green", "top": "Red", "shade": ""},
        [
            f'p.base: Unsupported value: "green": {COLOURS}',
            f'p.top: Unsupported value: "Red": {COLOURS}',
            f'p.shade: Unsupported value: "": {COLOURS}',
        ],
    ),
    ("a number may be 0", {"litres": 0}, []),
]


@pytest.mark.parametrize(("changes", "errors"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_all_markers_in_the_order_of_the_fields(changes: dict[str, Any], errors: list[str]) -> None:
    errs: rules.Errors = []
    rules.declared(errs, field.path("p"), Paint(**{**FULL, **changes}))
    assert [str(error) for error in errs] == errors


def test_named_fields_in_the_order_of_their_names() -> None:
    errs: rules.Errors = []
    rules.declared(errs, field.path("p"), Paint(), "top", "name")
    assert [str(error) for error in errs] == ["p.top: Required value", "p.name: Required value"]
