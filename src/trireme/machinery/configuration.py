"""Configuration files of components: YAML or JSON of a kind of upstream's, decoded strictly.

In: a file's content. Out: a struct of the kind. Unknown versions and fields are refused by name.
Called by the areas whose files these are. Pure. Upstream: apiserver ``pkg/apis/apiserver/load``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from trireme.machinery import errors
from trireme.machinery.codec import yaml

_UNKNOWN = re.compile(r"Object contains unknown field `(.*?)`(?: - at `\$\.?(.*)`)?")
T = TypeVar("T")


class Configuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the structs: a field that they do not have is an error."""


def decode(data: bytes, group: str, kind: str, versions: Iterable[str], type_: type[T]) -> T:
    """The document. ValueError; null is absent, as in Go."""
    try:
        loaded = yaml.load(data)
    except errors.ApiError as error:
        raise ValueError(error.message) from None
    if loaded.problem:
        raise ValueError(f"strict decoding error: {loaded.problem}")
    if not isinstance(loaded.value, dict):
        raise ValueError(f"no document of kind {kind}")
    value = _without_nulls(loaded.value)
    found = value.pop("apiVersion", ""), value.pop("kind", "")
    if found not in {(f"{group}/{version}", kind) for version in versions}:
        raise ValueError(f'no kind "{found[1]}" is registered for version "{found[0]}"')
    return convert(value, type_)


def convert(value: Any, type_: type[T]) -> T:
    """A document that is parsed already. ValueError."""
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        raise ValueError(f"strict decoding error: {_named(str(error))}") from None


def _named(problem: str) -> str:
    """An unknown field by its path, in upstream's words; the library's own for the rest."""
    found = _UNKNOWN.fullmatch(problem)
    if found is None:
        return problem
    name, at = found.groups("")
    return f'unknown field "{f"{at}.{name}" if at else name}"'


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
