"""The names of a kind: DNS labels, and kind and list kind that differ.

Upstream: validation.go ValidateCustomResourceDefinitionNames.
"""

from __future__ import annotations

from trireme.api.apiextensions.v1.types import CustomResourceDefinitionNames
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path


def validate(errs: Errors, given: CustomResourceDefinitionNames, at: Path) -> None:
    """Errors in those names that are there."""
    for name in ("plural", "singular"):
        _label(errs, at.child(name), getattr(given, name))
    for name in ("kind", "listKind"):
        value = getattr(given, name)
        messages = names.is_dns1035_label(value.lower()) if value else []
        if messages:
            detail = "may have mixed case, but should otherwise match: " + ",".join(messages)
            errs.append(field.invalid(at.child(name), value, detail))
    for position, item in enumerate(given.shortNames):
        _label(errs, at.child("shortNames").index(position), item, empty=True)
    if given.kind and given.kind == given.listKind:
        detail = "kind and listKind may not be the same"
        errs.append(field.invalid(at.child("listKind"), given.listKind, detail))
    for position, item in enumerate(given.categories):
        _label(errs, at.child("categories").index(position), item, empty=True)


def _label(errs: Errors, at: Path, value: str, *, empty: bool = False) -> None:
    messages = names.is_dns1035_label(value) if value or empty else []
    if messages:
        errs.append(field.invalid(at, value, ",".join(messages)))
