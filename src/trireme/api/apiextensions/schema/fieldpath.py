"""Paths into a schema, as CEL rules (``fieldPath``) and selectable fields write them.

In: ``.spec.color`` or ``.spec['a.b']`` and a ``Structural``. Out: the steps and the node they lead
to, or ValueError in upstream's words. Rules: upstream schema/cel ValidFieldPath.
"""

from __future__ import annotations

import re

from trireme.api.apiextensions.schema.structural import Structural
from trireme.machinery import gotext
from trireme.machinery.field import Path

_TOKEN = re.compile(r"'(?:[^'\\]|\\.)*'|[.\[\]]|[^.\[\]]+", re.DOTALL)
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "r": "\r", "t": "\t", "a": "\a",
            "b": "\b", "f": "\f", "v": "\v", "?": "?", "`": "`"}  # fmt: skip


class Found:
    """A path that leads somewhere. ``steps`` are field names or map keys."""

    __slots__ = ("node", "path", "steps")

    def __init__(self, node: Structural) -> None:
        self.node = node
        self.steps: list[str] = []
        self.path: Path | None = None

    def step(self, name: str) -> None:
        here = self.path
        if self.node.properties:
            below = self.node.properties.get(name)
            if below is None:
                raise ValueError("does not refer to a valid field")
            self.path = Path(name) if here is None else here.child(name)
        elif self.node.keeps_additional:
            below = self.node.additional
            self.path = Path(f"[{name}]") if here is None else here.key(name)
        else:
            raise ValueError("does not refer to a valid field")
        self.steps.append(name)
        self.node = below if below is not None else Structural({})


def find(text: str, root: Structural, *, brackets: bool = True) -> Found:
    """Where ``text`` leads from ``root``. Raises ValueError."""
    found = Found(root)
    tokens = iter(_TOKEN.findall(text))
    for token in tokens:
        if token == ".":
            name = next(tokens, None)
            if name is None:
                raise ValueError("unexpected end of JSON path")
            found.step(name)
        elif token == "[":
            if not brackets:
                raise ValueError("array notation is not allowed")
            name = next(tokens, None)
            if name is None:
                raise ValueError("unexpected end of JSON path")
            if len(name) < 2 or name[0] != "'" or name[-1] != "'":
                raise ValueError(f"expected single quoted string but got {name}")
            found.step(_unescape(name[1:-1]))
            end = next(tokens, None)
            if end is None:
                raise ValueError("unexpected end of JSON path")
            if end != "]":
                raise ValueError(f"expected ] but got {end}")
        else:
            raise ValueError(f"expected [ or . but got: {token}")
    return found


def _unescape(text: str) -> str:
    def replace(found: re.Match[str]) -> str:
        plain = _ESCAPES.get(found[1])
        if plain is None:
            raise ValueError(f"invalid string literal: invalid escape {gotext.quote(found[0])}")
        return plain

    return re.sub(r"\\(.)", replace, text, flags=re.DOTALL)
