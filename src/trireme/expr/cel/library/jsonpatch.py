"""JSON patches built by expressions: ``JSONPatch{op: 'add', path: '/spec/x', value: 1}``.

Out: ``OVERLOADS`` and ``TYPES``, to be given to an ``Environment`` as ``extra`` and ``type_names``:
they belong to mutating policies only. The value is a ``values.Struct``. Rules: apiserver
``pkg/cel/library/jsonpatch``, ``pkg/cel/mutation``.
"""

from __future__ import annotations

from typing import Final

from .. import types as t
from ..functions import Overload, define
from ..types import Field

JSON_PATCH: Final = t.struct(
    "JSONPatch",
    {
        "op": Field("op", t.STRING),
        "path": Field("path", t.STRING),
        "from": Field("from", t.STRING),
        "value": Field("value", t.DYN),
    },
)
TYPES: Final = {"JSONPatch": JSON_PATCH}


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


OVERLOADS: Final[list[Overload]] = [
    define(
        "jsonpatch.escapeKey", "string_jsonpatch_escapeKey_string", (t.STRING,), t.STRING, _escape
    ),
]
