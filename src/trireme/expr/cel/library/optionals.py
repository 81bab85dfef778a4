"""Optional values.

Out: ``OVERLOADS``. Called by: ``versions``. Rules: cel-go ``cel/library`` (optional types).
"""

from __future__ import annotations

from typing import Any, Final

from .. import types as t
from .. import values
from ..errors import EvalError
from ..functions import Overload, define, method
from ..values import NONE, Optional


def _non_zero(v: Any) -> Optional:
    return NONE if values.is_zero(v) else Optional(v)


def _unwrap(items: list[Any]) -> list[Any]:
    for x in items:
        if type(x) is not Optional:
            raise EvalError(f"value {x} is not optional")
    return [x.value for x in items if x is not NONE]


_LIST: Final = t.list_of(t.OPTIONAL_A)
_OPT_LIST: Final = t.optional_of(t.LIST_A)
_OPT_MAP: Final = t.optional_of(t.MAP_AB)
_OPT_B: Final = t.optional_of(t.B)

OVERLOADS: Final[list[Overload]] = [
    define("optional.of", "optional_of", (t.A,), t.OPTIONAL_A, Optional),
    define("optional.ofNonZeroValue", "optional_ofNonZeroValue", (t.A,), t.OPTIONAL_A, _non_zero),
    define("optional.none", "optional_none", (), t.OPTIONAL_A, lambda: NONE),
    method("value", "optional_value", (t.OPTIONAL_A,), t.A, Optional.get),
    method("hasValue", "optional_hasValue", (t.OPTIONAL_A,), t.BOOL, lambda v: v is not NONE),
    method("or", "optional_or_optional", (t.OPTIONAL_A, t.OPTIONAL_A), t.OPTIONAL_A, None),
    method("orValue", "optional_orValue_value", (t.OPTIONAL_A, t.A), t.A, None),
    define("_?._", "select_optional_field", (t.DYN, t.STRING), t.OPTIONAL_A, None),
    define("_[?_]", "list_optindex_optional_int", (t.LIST_A, t.INT), t.OPTIONAL_A, None),
    define("_[?_]", "optional_list_optindex_optional_int", (_OPT_LIST, t.INT), t.OPTIONAL_A, None),
    define("_[?_]", "map_optindex_optional_value", (t.MAP_AB, t.A), _OPT_B, None),
    define("_[?_]", "optional_map_optindex_optional_value", (_OPT_MAP, t.A), _OPT_B, None),
    define("_[_]", "optional_list_index_int", (_OPT_LIST, t.INT), t.OPTIONAL_A, None),
    define("_[_]", "optional_map_index_value", (_OPT_MAP, t.A), _OPT_B, None),
    method(
        "first", "list_first", (t.LIST_A,), t.OPTIONAL_A, lambda v: Optional(v[0]) if v else NONE
    ),
    method(
        "last", "list_last", (t.LIST_A,), t.OPTIONAL_A, lambda v: Optional(v[-1]) if v else NONE
    ),
    define("optional.unwrap", "optional_unwrap", (_LIST,), t.LIST_A, _unwrap),
    method("unwrapOpt", "optional_unwrapOpt", (_LIST,), t.LIST_A, _unwrap),
]
