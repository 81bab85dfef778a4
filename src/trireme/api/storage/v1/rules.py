"""Checks that several kinds of storage share.

In: values and where they stand. Out: errors on the list given. Upstream:
pkg/apis/storage/validation.
"""

from __future__ import annotations

from typing import Final

from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path

_MOST_PARAMETERS: Final = 512
MOST_BYTES: Final = 256 * 1024


def driver(errs: Errors, at: Path, name: str) -> None:
    """A driver's name: a qualified name."""
    if not name:
        errs.append(field.required(at, name))
        return
    for message in names.is_qualified_name(name.lower()):
        errs.append(field.invalid(at, name.lower(), message))


def parameters(errs: Errors, at: Path, values: dict[str, str], *, needed: bool) -> None:
    """Parameters for a driver; only their size is limited."""
    if len(values) > _MOST_PARAMETERS:
        errs.append(field.too_long(at, _MOST_PARAMETERS))
        return
    if "" in values:
        errs.append(field.invalid(at, "", "field can not be empty."))
    if sum(len(key.encode()) + len(text.encode()) for key, text in values.items()) > MOST_BYTES:
        errs.append(field.too_long(at, MOST_BYTES))
    if needed and not values:
        errs.append(field.required(at, "must contain at least one key/value pair"))
