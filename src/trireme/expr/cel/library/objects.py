"""Objects built by expressions: ``Object{spec: Object.spec{replicas: 1}}``.

Out: ``OBJECT``, the type of a whole one, and ``Types``, to be given to an ``Environment`` as
``type_names``: it knows ``Object`` and each ``Object.<field>...``, whose fields may be any. They
belong to mutating policies only. The value is a ``values.Struct``. Rules: apiserver
``pkg/cel/mutation``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from .. import types as t
from ..types import Field, Type

_NAME: Final = "Object"


class _AnyField(dict[str, Field]):
    """Knows every name."""

    def __bool__(self) -> bool:
        return True

    def get(self, name: str, default: Any = None) -> Field:
        """A field of that name."""
        return Field(name, t.DYN)


OBJECT: Final = t.struct(_NAME, _AnyField())


class Types(Mapping[str, Type]):
    """``known``, and all types of objects."""

    def __init__(self, known: Mapping[str, Type]) -> None:
        self._known = known

    def __getitem__(self, name: str) -> Type:
        if name == _NAME:
            return OBJECT
        if name.startswith(_NAME + "."):
            return t.struct(name, _AnyField())
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)
